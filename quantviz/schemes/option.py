"""What an option of schemes is: its declaration, the control that offers it, and the cures that it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

Group = Literal["scales", "block types", "outliers", "inputs"]  # what an option is about
GROUPS: tuple[Group, ...] = get_args(Group)  # in the order in which options are refused


@dataclass(frozen=True)
class Control:
    """How a page lets an option be chosen. help: in Markdown; {fmt} is the format.  named: what a choice is called.

    kind: "buttons" or a "list" of the choices; a "toggle" from the first to the second; a "number" from the first
    choice to the second in steps of the third.
    """

    kind: Literal["buttons", "list", "toggle", "number"]
    label: str
    choices: tuple
    help: str
    named: Callable[[Any], str] = str


@dataclass(frozen=True)
class Remedy:
    """A value of an option as a cure of outliers.

    value: None where it depends on the tensor; {} in the name stands for it.  beside: parts that change with it.
    formats: the kind of format to which it is offered.
    """

    name: str
    what: str
    value: Any = None
    beside: tuple[tuple[str, Any], ...] = ()
    formats: type = object


@dataclass(frozen=True)
class Option:
    """An option of schemes: what it means, how it is written, where it does not apply, and how it is offered.

    default: what holds where nothing is said; home: the same from format and granularity, where it depends on them.
    written: as it stands in keys, an example first; what: what that does.  README has both, in Markdown.
    read: value of a text or a value; wrong: what is said of those of which it raises KeyError or ValueError.
    write: text of a value.  refusal: of a scheme in which it is chosen, and the scheme's key without options but
    scale: why it does not apply, or None.  needs: what must stand beside it in a key; without a control no page has it.
    """

    key: str
    default: Any
    group: Group
    written: tuple[str, ...]
    what: str
    read: Callable[[Any], Any]
    wrong: str
    control: Control | None = None
    write: Callable[[Any], str] = str
    refusal: Callable[[Any, str], str | None] = lambda scheme, plain: None
    home: Callable[[Any, Any], Any] | None = None
    remedies: tuple[Remedy, ...] = ()
    named: str = ""
    needs: str = ""

    @property
    def field(self) -> str:
        """The field of a scheme that holds it: its key, but where that says something else of a scheme."""
        return self.named or self.key

    def default_for(self, f: Any, granularity: Any) -> Any:
        return self.home(f, granularity) if self.home else self.default
