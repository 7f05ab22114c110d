"""Whatever Streamlit reads as Markdown is written in the source, is a number, or went through say.py."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAY = ROOT / "pages/components/say.py"
PAGES = [ROOT / "app.py", *(path for path in sorted(ROOT.glob("pages/**/*.py")) if path != SAY)]
FIRST = {
    "markdown", "caption", "header", "subheader", "title", "warning", "error", "info", "success", "toast", "expander",
    "popover", "button", "download_button", "form_submit_button", "checkbox", "toggle", "radio", "selectbox",
    "multiselect", "text_input", "text_area", "number_input", "slider", "select_slider", "segmented_control", "pills",
    "file_uploader", "tabs", "status", "spinner", "Page", "NumberColumn", "TextColumn", "Column", "CheckboxColumn",
    "ProgressColumn",
}  # fmt: skip
SECOND = {"radio", "segmented_control", "pills", "select_slider"}  # whose options are Markdown as well
WHOLE = {"metric"}  # label, value and difference
NAMED = {"label", "body", "text", "help", "value"}
LABELS = {"label", "help"}  # parameters of these names are checked where they are passed, by whatever function
WRAPPERS = {"_number": 1}  # functions of this app: where their label stands
CHOICES = {"text": 0, "number": 0, "toggle": 0, "one_of": 1, "some_of": 1}  # the same of pages/components/link/choices
REFUSED = {"write", "table", "exception", "latex", "echo", "write_stream"}
ESCAPED = {"plain", "name"}
# What gives numbers, or words of this project alone.
OURS = {
    "len", "count", "size", "shape", "share", "duration", "tooltip", "difference", "number", "bits", "decibels",
    "decimals", "signed", "about", "value_text", "upper", "short", "digits", "exact", "alt_text", "plural",
    "metric_help", "to_term",
}  # fmt: skip
DECLARED = {
    "label",
    "formula",
    "meaning",
    "unit",
    "title",
    "text",
    "better",
}  # of metrics and facts, frozen in the source


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def on_streamlit(node: ast.Call) -> bool:
    """Calls of st and of its containers, but not of `say`, whose functions escape, or of a model's `info`."""
    ours = ("say", "model", "original", "other", "file")
    return not (isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") in ours)


def spoken(node: ast.Call) -> list[ast.expr]:
    """The arguments that are read as Markdown."""
    word = called(node)
    if word == "progress" and isinstance(node.func, ast.Attribute):
        return [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "text")]
    if word in CHOICES and ast.unparse(node.func) == f"choices.{word}":
        return [
            node.args[CHOICES[word]],
            *options_of_choice(node),
            *(k.value for k in node.keywords if k.arg in LABELS),
        ]
    if word in WRAPPERS:
        return [*node.args[WRAPPERS[word] : WRAPPERS[word] + 1], *(k.value for k in node.keywords if k.arg in LABELS)]
    if word not in FIRST | WHOLE or not on_streamlit(node):
        return [k.value for k in node.keywords if k.arg in LABELS]
    written = next((k.value for k in node.keywords if k.arg == "format_func"), None)  # how options are written
    args = node.args if word in WHOLE else node.args[: 2 if word in SECOND and written is None else 1]
    args = [*args, written] if word in SECOND and written is not None else args
    named = NAMED - ({"value"} if word not in WHOLE else set())
    return [*args, *(k.value for k in node.keywords if k.arg in named or (k.arg == "options" and word in SECOND))]


def options_of_choice(node: ast.Call) -> list[ast.expr]:
    """The options of a choice where they are read as Markdown, or the function that writes them."""
    if getattr(node.args[0], "attr", "") not in SECOND:
        return []
    return [next((k.value for k in node.keywords if k.arg == "named"), node.args[3])]


def numeric(spec: ast.expr | None) -> bool:
    """Whether a format, as in {x:,}, refuses anything but a number."""
    parts = spec.values if isinstance(spec, ast.JoinedStr) else []
    return any(sign in str(part.value) for part in parts if isinstance(part, ast.Constant) for sign in ",defgn%+")


class Judge(ast.NodeVisitor):
    """Finds unsafe arguments; knows what names stand for in the function it is in."""

    def __init__(self, module: ast.Module) -> None:
        self.found: list[tuple[int, str]] = []
        self.module = module
        self.functions = {n.name: n for n in ast.walk(module) if isinstance(n, ast.FunctionDef)}
        self.scopes: list[dict[str, list[ast.expr | None]]] = [names_in(module, module)]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.scopes.append(names_in(node, self.module))
        self.generic_visit(node)
        self.scopes.pop()

    def visit_Call(self, node: ast.Call) -> None:
        if called(node) in REFUSED and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "st":
            self.found.append((node.lineno, f"st.{called(node)} reads or shows too much; use say"))
        self.found += [(a.lineno, f"{called(node)}({ast.unparse(a)})") for a in spoken(node) if not self.safe(a)]
        self.generic_visit(node)

    def safe(self, node: ast.expr | None, deep: int = 0) -> bool:
        match node:
            case ast.Constant():
                return True
            case ast.JoinedStr(values):
                return all(self.safe(value, deep) for value in values)
            case ast.FormattedValue(value, _, spec):
                return numeric(spec) or self.safe(value, deep)
            case ast.Call(args=args):
                if called(node) in ("join", "list", "tuple"):
                    return all(self.safe(arg, deep) for arg in args)
                if called(node) == "explained":  # the help, and a link to a term of the glossary
                    return self.safe(args[1], deep)
                if called(node) in ("get", "items", "values", "keys"):
                    return all(self.safe(arg, deep) for arg in [node.func.value, *args[1:]])
                return called(node) in ESCAPED | OURS or self.returns(called(node), deep)
            case ast.Dict(values=values):
                return all(self.safe(value, deep) for value in values)
            case ast.GeneratorExp(elt) | ast.ListComp(elt):
                return self.safe(elt, deep)
            case ast.IfExp(_, yes, no):
                return self.safe(yes, deep) and self.safe(no, deep)
            case ast.BoolOp(_, values) | ast.List(values) | ast.Tuple(values):
                return all(self.safe(value, deep) for value in values)
            case ast.BinOp(left, ast.Mult(), _):
                return self.safe(left, deep)
            case ast.BinOp(left, _, right):
                return self.safe(left, deep) and self.safe(right, deep)
            case ast.Compare():
                return True
            case ast.Subscript(value) | ast.Starred(value):
                return self.safe(value, deep)
            case ast.Attribute(value, attr):
                ours = attr in DECLARED or attr.isupper() or ast.unparse(node) in ("say.name", "say.plain")
                return ours or (attr in ("get", "__getitem__") and self.safe(value, deep))
            case ast.Lambda(_, body):
                return self.safe(body, deep)
            case ast.Name(id=word):
                return word.lstrip("_").isupper() or (deep < 5 and self.known(word, deep))
            case None:
                return False
        return False

    def returns(self, word: str, deep: int) -> bool:
        """Whether a function of the same file gives nothing but what is safe."""
        function = self.functions.get(word)
        if function is None or deep > 3:
            return False
        self.scopes.append(names_in(function, self.module))
        given = [n.value for n in walk_here(function) if isinstance(n, ast.Return)]
        held = bool(given) and all(self.safe(value, deep + 1) for value in given)
        self.scopes.pop()
        return held

    def known(self, word: str, deep: int) -> bool:
        for scope in reversed(self.scopes):
            if word in scope:
                return all(self.safe(value, deep + 1) for value in scope[word])
        return False


def names_in(scope: ast.AST, module: ast.Module) -> dict[str, list[ast.expr | None]]:
    """Of every name bound here: the expressions it is bound to; None for one that cannot be followed."""
    names: dict[str, list[ast.expr | None]] = {}
    if isinstance(scope, ast.FunctionDef):
        for place, arg in enumerate((*scope.args.args, *scope.args.kwonlyargs)):
            number = arg.annotation is not None and ast.unparse(arg.annotation) in ("int", "float")
            settled = number or arg.arg in LABELS
            names[arg.arg] = [ast.Constant(0)] if settled else passed(scope.name, place, arg.arg, module)
    for node in walk_here(scope):
        if isinstance(node, ast.Assign | ast.NamedExpr | ast.AnnAssign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                bind(names, target, node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            bind(names, node.target, node.iter)
    return names


def passed(function: str, place: int, word: str, module: ast.Module) -> list[ast.expr | None]:
    """What the file itself passes for a parameter of one of its own functions; None where it cannot be told."""
    calls = [n for n in ast.walk(module) if isinstance(n, ast.Call) and called(n) == function]
    if not function.startswith("_"):
        return [None]
    given = [
        next((k.value for k in call.keywords if k.arg == word), call.args[place] if place < len(call.args) else None)
        for call in calls
    ]
    return given or [None]


def bind(names: dict[str, list[ast.expr | None]], target: ast.expr, value: ast.expr | None) -> None:
    if isinstance(target, ast.Name):
        names.setdefault(target.id, []).append(value)
    elif isinstance(target, ast.Tuple):
        values = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else None
        for i, part in enumerate(target.elts):
            bind(names, part, values[i] if values else value)


def walk_here(scope: ast.AST):
    """All nodes of a scope but those of the functions inside it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from walk_here(child)


def unsafe(source: str) -> list[tuple[int, str]]:
    module = ast.parse(source)
    judge = Judge(module)
    judge.visit(module)
    return judge.found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_comes_from_outside_is_read_as_markdown(path):
    found = unsafe(path.read_text("utf-8"))
    assert not found, "\n".join(f"{path.name}:{line}: {what}" for line, what in found)


@pytest.mark.parametrize("source", (
    "st.error(str(problem))", "st.header(f'{view.info.name} under')", "column.caption(text)", "st.write('x')",
    "def f(text):\n    st.button(f'Open {text}')", "x = view.ref\nst.info(x)", "st.progress(0.1, text=job.text())",
    "st.metric('a', value=found.words)", "st.text_input('a', help=f'{problem}')", "st.pills('a', options=names)",
    "st.markdown('  \\n'.join(lines))", "st.caption(f'{x}' if y else 'z')", "st.info('a' + problem.args[0])",
))  # fmt: skip
def test_the_rule_finds(source):
    assert unsafe(source)


@pytest.mark.parametrize("source", (
    "st.header('Explore')", "st.header(f'{plain(view.info.name)} of {count(n)}')", "say.error(problem)",
    "st.caption(f'{rows:,} rows, {part:.1%}')", "many = f'{n:,} of {m:,}'\nst.caption(many)", "st.progress(0.1)",
    "st.metric(metric.label, value_text(name, x), help=tooltip(metric))", "st.caption('a' if x else 'b')",
    "def f(n: int):\n    st.caption(f'{n} rows')", "st.caption(' '.join(plain(x) for x in names))",
))  # fmt: skip
def test_the_rule_lets_pass(source):
    assert not unsafe(source)
