"""Tables for papers and issues: LaTeX (booktabs, siunitx) and Markdown, of cells as they are written elsewhere.

A column of numbers that all have one unit has it in its heading, and its numbers stand with their decimal points under
each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .printable import printable

NONE = "–"  # where there is no figure
_NUMBER = r"[+−-]?[0-9][0-9,]{0,40}(?:\.[0-9]{1,40})?(?:e[+−-]?[0-9]{1,9})?"
_CELL = re.compile(rf"({_NUMBER})(?: ± ({_NUMBER}))?( ?[^0-9\s.,±]{{1,20}})?")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "−": "$-$", "×": r"$\times$", "±": r"$\pm$", "·": r"$\cdot$", "≤": r"$\leq$", "≥": r"$\geq$",
    "≠": r"$\neq$", "√": r"$\surd$", "‖": r"$\Vert$", "→": r"$\to$", "²": r"\textsuperscript{2}", "…": r"\ldots{}",
    "–": "--", "—": "---", "’": "'", "‘": "`", "“": "``", "”": "''", "α": r"$\alpha$", "β": r"$\beta$",
    "σ": r"$\sigma$", "Σ": r"$\Sigma$", "μ": r"$\mu$", "∞": r"$\infty$", "\u00a0": "~",
}  # fmt: skip
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>|#~$]")
_LAST_OF_LATIN = "\u017f"


@dataclass(frozen=True)
class _Column:
    """cells: of numbers (number, its ± or "", in plain ASCII), or None where there is none; of texts the texts."""

    heading: str
    cells: tuple
    is_number: bool

    @classmethod
    def of(cls, heading: str, cells: Sequence[str]) -> _Column:
        found = [_CELL.fullmatch(cell) for cell in cells]
        units = {match[3] or "" for match in found if match}
        known = all(match or cell in (NONE, "") for match, cell in zip(found, cells, strict=True))
        if len(units) != 1 or not known:
            return cls(heading, tuple(cells), False)
        unit = units.pop().strip()
        pairs = tuple(match and (_plain(match[1]), _plain(match[2] or "")) for match in found)
        return cls(f"{heading} ({unit})" if unit else heading, pairs, True)


def latex(headings: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    r"""A table in LaTeX. headings and rows: texts, as many a row as there are headings.

    Letters beyond Latin that have no command here are written by their number, so that every engine compiles it.

    >>> print(latex(["Scheme", "SQNR"], [["int4_x", "23.33 dB"], ["fp8", "–"]], "Errors"))
    % \usepackage{booktabs,siunitx}
    \begin{table}
      \centering
      \caption{Errors}
      \begin{tabular}{lS[table-format=2.2]}
        \toprule
        {Scheme} & {SQNR (dB)} \\
        \midrule
        int4\_x & 23.33 \\
        fp8     & {--}  \\
        \bottomrule
      \end{tabular}
    \end{table}
    <BLANKLINE>
    """
    columns = _columns(headings, rows)
    cells = [[_latex_cell(cell, column.is_number) for cell in column.cells] for column in columns]
    widths = [max(map(len, column), default=0) for column in cells]
    lines = [
        " & ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + r" \\"
        for row in zip(*cells, strict=True)
    ]
    return "\n".join(
        [
            r"% \usepackage{booktabs,siunitx}", r"\begin{table}", r"  \centering",
            *([rf"  \caption{{{_in_latex(caption)}}}"] if caption else []),
            rf"  \begin{{tabular}}{{{''.join(map(_kind, columns))}}}", r"    \toprule",
            "    " + " & ".join(f"{{{_in_latex(column.heading)}}}" for column in columns) + r" \\", r"    \midrule",
            *(f"    {line}" for line in lines), r"    \bottomrule", r"  \end{tabular}", r"\end{table}", "",
        ]
    )  # fmt: skip


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table in GitHub's Markdown, which is one to look at in plain text too.

    >>> print(markdown(["Scheme", "SQNR"], [["int4_x", "23.33 dB"], ["fp8", "9.1 dB"], ["a|b", "–"]]))
    | Scheme  | SQNR (dB) |
    | :------ | --------: |
    | int4\\_x |     23.33 |
    | fp8     |      9.1  |
    | a\\|b    |         – |
    <BLANKLINE>
    """
    columns = _columns(headings, rows)
    texts = [_aligned(column) for column in columns]
    heads = [_in_markdown(column.heading) for column in columns]
    widths = [max(map(len, [head, "---", *cells])) for head, cells in zip(heads, texts, strict=True)]

    def line(cells: Iterable[str]) -> str:
        placed = zip(cells, widths, columns, strict=True)
        return "| " + " | ".join(c.rjust(w) if of.is_number else c.ljust(w) for c, w, of in placed) + " |"

    rules = [
        "-" * (w - 1) + ":" if of.is_number else ":" + "-" * (w - 1) for w, of in zip(widths, columns, strict=True)
    ]
    above = [_in_markdown(caption), ""] if caption else []
    return "\n".join([*above, line(heads), "| " + " | ".join(rules) + " |", *map(line, zip(*texts, strict=True)), ""])


def _columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[_Column]:
    rows = [[printable(cell) for cell in row] for row in rows]
    return [_Column.of(printable(head), [row[i] for row in rows]) for i, head in enumerate(headings)]


def _plain(number: str) -> str:
    return number.replace("−", "-").replace(",", "")


# -- LaTeX -----------------------------------------------------------------------------------------


def _kind(column: _Column) -> str:
    """l, or siunitx's S with the places before and after the point that its numbers take."""
    if not column.is_number:
        return "l"
    found = [cell for cell in column.cells if cell]
    if any(within or "e" in number for number, within in found):
        return "S"
    before = max(len(number.lstrip("+-").partition(".")[0]) for number, _ in found)
    after = max(len(number.partition(".")[2]) for number, _ in found)
    sign = "-" * any(number.startswith(("+", "-")) for number, _ in found)
    return f"S[table-format={sign}{before}{f'.{after}' if after else ''}]"


def _latex_cell(cell: str | tuple[str, str] | None, is_number: bool) -> str:
    if not is_number:
        return _in_latex(cell)
    if cell is None:
        return "{--}"
    number, within = cell
    return f"{number} +- {within}" if within else number


def _in_latex(text: str) -> str:
    return "".join(_LATEX.get(c, c if c <= _LAST_OF_LATIN else f"U+{ord(c):04X}") for c in text)


# -- Markdown --------------------------------------------------------------------------------------


def _aligned(column: _Column) -> list[str]:
    """Cells whose decimal points stand under each other."""
    if not column.is_number:
        return [_in_markdown(cell) for cell in column.cells]
    after = max(len(cell[0].partition(".")[2]) + ("." in cell[0]) for cell in column.cells if cell)
    told = [
        NONE if cell is None
        else cell[0] + " " * (after - len(cell[0].partition(".")[2]) - ("." in cell[0]))
        + (f" ± {cell[1]}" if cell[1] else "")
        for cell in column.cells
    ]  # fmt: skip
    return [text.replace("-", "−") for text in told]


def _in_markdown(text: str) -> str:
    return _MARKDOWN.sub(lambda match: "\\" + match[0], text)
