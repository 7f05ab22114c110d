"""Several files of one model beside the original in the sidebar: what each takes, and what it loses where."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from quantviz import QuantvizError
from quantviz.checkpoints.names.roles import ROLES
from quantviz.published import several as files_of
from quantviz.published.several import Many
from quantviz.sources import Model, SeveralFiles
from quantviz.text.wording import bits, plural, share, size

from .. import say
from ..link import choices
from ..link.address import chosen, put
from ..selection import UPLOAD, ModelRef, View
from ..shared import uploads
from ..shared.snippet import ref_in_script
from ..shared.tables import table
from ..shared.take_along import DATA, PYTHON, downloads, link_note, more
from ..sidebar.tensor_controls import source_for
from ..work import cached, jobs
from ..work.bounded import BoundedCache
from ..work.visitors import agree, agreed

MOST = 8  # files at a time
_many: BoundedCache[Many] = BoundedCache(50, lambda _: 1)
_ERROR = "‖file − original‖ / ‖original‖ of all matrices of this role together: lower is better."


def several_section(view: View) -> None:
    """Draws the controls for the files, and the table of them beside the original."""
    refs = _files_controls()
    if not refs:
        st.info(
            "Name or upload files that were made from the model in the sidebar, such as its GGUF, GPTQ or NVFP4: each "
            "gets a row with its true size, its bits per weight, and its error in every role of a tensor.",
            icon=":material/table_rows:",
        )
        return
    try:
        opened = [_open(ref, view.token) for ref in refs]
    except QuantvizError as problem:
        say.error(problem)
        return
    if None in opened:
        return
    key = "several", view.at.source, tuple(source for source, _ in opened)
    found = _many.peek(key)
    if found is None and not agreed(key):
        st.caption(
            "Every matrix that the original shares with a file is read from both and compared, tensor by tensor. What "
            "is on the Hub is downloaded first."
        )
        st.button("Compare these files", type="primary", icon=":material/table:", on_click=agree, args=(key,))
        return
    original, models = cached.opened(view.at.source), [model for _, model in opened]
    if found is None:
        try:
            found = jobs.result(
                key, f"{plural(len(models), 'file')} against {view.at.source.ref}",
                lambda job: _many.get(key, lambda: _compared(original, models, job)),
            )  # fmt: skip
        except QuantvizError as problem:
            say.error(problem)
            return
    if found is not None:
        _shown(found, refs, view.at.source.ref)


def _files_controls() -> list[str]:
    box, upload = st.columns([3, 2])
    refs = choices.some_of(
        box.multiselect, "Files made from this model", "files", [], [], check=_checked, most=MOST,
        placeholder="model-Q4_K_M.gguf, hf:org/name-AWQ, a folder",
        help=f"Up to {MOST} references, as in the sidebar: the path of a file or a folder, or a model of the Hub.",
    )  # fmt: skip
    upload.file_uploader(
        "Upload files", type=[suffix[1:] for suffix in uploads.MODEL_ENDINGS], key="files_uploaded",
        on_change=_take_uploads, accept_multiple_files=True,
        help="Kept in a private folder until you close the page; a link cannot carry them.",
    )  # fmt: skip
    return refs


def _checked(texts: list[str]) -> tuple[list[str], list[str]]:
    """Any reference may be typed; whether it opens shows when it does."""
    return [text.strip() for text in texts if text.strip()], []


def _take_uploads() -> None:
    kept = [UPLOAD + uploads.keep(file.name, file.getbuffer()) for file in st.session_state["files_uploaded"]]
    before = [ref for ref in chosen("files") or [] if ref]
    put(files=list(dict.fromkeys([*before, *kept])))


def _open(ref: str, token: str | bool | None) -> tuple[ModelRef, Model] | None:
    """A file's model; None while it is being opened. Raises QuantvizError that says which file is meant."""
    try:
        source = source_for(ref, token)
        model = cached.opening(source, token, f"file {ref}")
    except SeveralFiles as problem:
        raise QuantvizError(f"{ref}: {problem}") from None
    return model and (source, model)


def _compared(original: Model, models: Sequence[Model], job: jobs.Job) -> Many:
    return files_of.many(original, models, lambda ref: job.step(f"comparing {ref}", "tensors"))


def _shown(found: Many, refs: Sequence[str], original: str) -> None:
    rows = files_of.rows(found)
    rows["file"] = list(refs)  # as they were named, not where an upload lies
    help = {
        "bytes": "Of everything in the file: scales, orders and tensors that were not quantized included.",
        "bits per weight": "8 · bytes / weights of the matrices that both have, scales and what else belongs to them "
        "included.",
        "bits over all": "8 · bytes of the file / weights of the original that it has.",
        "main type": "The type in which most weights of its matrices are stored.",
        "kept finer": "Matrices that take more bits a weight than the main type.",
        "error": "‖file − original‖ / ‖original‖ of all matrices together: lower is better.",
    }
    roles = {name: rows[name] for name in rows if name in ROLES}
    names = files_of.told_apart(refs)
    first = {"file": names, "bytes": rows["bytes"], "bits per weight": rows["bits per weight"], "error": rows["error"]}
    facts = first | {name: values for name, values in rows.items() if name not in ROLES and name not in first}
    headings = {name: st.column_config.Column(help=say.plain(text)) for name, text in help.items()}
    st.subheader(f"{plural(len(found.files), 'file')} beside the original", anchor=False)
    table(
        facts,
        {"bytes": size, "bits per weight": bits, "bits over all": bits, "error": share},
        "several_files",
        headings,
    )
    st.markdown("**Error by role of the tensor**", help=say.plain(_ERROR))
    columns = {name: [errors[i] for errors in roles.values()] for i, name in enumerate(names)}
    if found.best:
        columns["least"] = [names[found.best[name]] if name in found.best else None for name in roles]
    table({"role": list(roles)} | columns, dict.fromkeys(names, share), "several_roles")
    for told in files_of.differences(found, names):
        say.caption(told)
    for f, ref in zip(found.files, names, strict=True):
        for name, why in f.refused[:3]:
            say.caption(f"{ref}: {name} is left out: {why}")
        if len(f.refused) > 3:
            say.caption(f"{ref}: {len(f.refused) - 3:,} more tensors are left out.")
    _types(found, names)
    more("several_more", {
        PYTHON: lambda: st.code(several_snippet(original, refs), language="python", wrap_lines=True),
        DATA: lambda: _data(found, rows, refs, original),
    })  # fmt: skip


def _types(found: Many, files: Sequence[str]) -> None:
    """What each file stores each tensor as."""
    names = list(dict.fromkeys(name for f in found.files for name in f.types))
    with st.expander(f"Types of {plural(len(names), 'tensor')}"):
        columns = {file: [f.types.get(name) for name in names] for file, f in zip(files, found.files, strict=True)}
        table({"tensor": names} | columns, {}, "several_types", height=420)


def _data(found: Many, rows: dict, refs: Sequence[str], original: str) -> None:
    lines = zip(*rows.values(), strict=True)
    downloads(("files", original), files_of.as_json(found), (rows, lines), pictures=False)
    link_note(original, *refs)


def several_snippet(original: str, refs: Sequence[str]) -> str:
    """A script that makes the comparison."""
    listed = ", ".join(repr(ref_in_script(ref)) for ref in refs)
    return (
        "import quantviz as qv\n"
        "\n"
        f"original = qv.open_model({ref_in_script(original)!r})\n"
        f"files = [qv.open_model(ref) for ref in ({listed},)]\n"
        "found = qv.published.many(original, files)\n"
        "for f in found.files:\n"
        '    print(f.ref, f.main, f"{f.bits_per_weight:.3f} bits", f"{f.total.relative:.4f}")\n'
        "    for role, loss in f.roles.items():\n"
        '        print(f"  {role}: {loss.relative:.4f}")\n'
        'print(*qv.published.differences(found), sep="\\n")\n'
    )
