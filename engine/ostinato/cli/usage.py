"""How commands are used: help pages, completion, and what is said to a wrong command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from ostinato.cli.console import complain, note, out
from ostinato_bench.terminal import Table

DONE, FAILED, WRONG_USAGE, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141
"""Exit codes. The last two are what shells make of SIGINT and SIGPIPE."""
EXIT_CODES = "Exit codes: 0 done; 1 failed, an error says why; 2 wrong usage; 130 Ctrl-C; 141 the output is not read."

Function = TypeVar("Function", bound=Callable[..., Any])
UsageError = cast(type[Exception], typer.BadParameter.__base__)
"""What click raises for a wrong command line; typer keeps click inside, and gives this class no name."""


def run(app: typer.Typer) -> int:
    """Run the command line; the exit code. Raises what commands raise."""
    out.quiet = False  # unless this command's figures take standard output
    try:
        return int(app(prog_name="ostinato", standalone_mode=False) or DONE)
    except UsageError as error:
        _explain(error)
        return WRONG_USAGE
    except typer.Abort:  # Ctrl-C, in older typers
        return INTERRUPTED
    except SystemExit:  # what typer makes of a broken pipe
        return UNREAD


def _explain(error: Any) -> None:
    complain(error.format_message())
    command = error.ctx.command_path if error.ctx is not None else "ostinato COMMAND"  # not known where a value lacks
    note(f"{command} --help says what there is")


class Command(TyperCommand):
    """A command whose numbers are finite, and whose help page says no more than a user needs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments. Raises BadParameter for infinities and NaN, which are within no bounds."""
        rest = super().parse_args(ctx, args)
        for param in self.params:
            value = ctx.params.get(param.name)
            for each in value if isinstance(value, list | tuple) else [value]:
                if isinstance(each, float) and not math.isfinite(each):
                    raise typer.BadParameter(f"{each} is no number to count with.", ctx=ctx, param=cast(Any, param))
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help page, as wide as the terminal."""
        formatter.write(_page(self, ctx, []))


class Group(TyperGroup):
    """A command with commands below it; alone it shows its help page."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        if not args and not ctx.resilient_parsing:
            typer.echo(self.get_help(ctx), err=True)
            raise typer.Exit(WRONG_USAGE)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help page, as wide as the terminal."""
        formatter.write(_page(self, ctx, [(name, self.commands[name]) for name in self.list_commands(ctx)]))


class App(typer.Typer):
    """Typer, whose commands are the above."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"cls": Group} | settings, rich_markup_mode=None, pretty_exceptions_enable=False)

    def command(self, *args: Any, **settings: Any) -> Callable[[Function], Function]:
        """Make a function a command."""
        return super().command(*args, cls=Command, **settings)


# --- help pages -----------------------------------------------------------------------------------------------------


def _page(command: Any, ctx: Any, below: list[tuple[str, Any]]) -> str:
    shown = [param for param in command.get_params(ctx) if not getattr(param, "hidden", False)]
    arguments = [param for param in shown if param.param_type_name == "argument"]
    options = [param for param in shown if param.param_type_name != "argument"]
    usage = ["COMMAND", "[OPTIONS]"] if below else [*(_usage(one) for one in arguments), "[OPTIONS]"]
    with out.capture() as capture:
        out.print(f"[bold]Usage:[/] {escape(' '.join([ctx.command_path, *usage]))}")
        for paragraph in (command.help or "").split("\n\n"):
            out.print(f"\n{escape(' '.join(paragraph.split()))}")
        _section("Arguments", ((_name(one), _about(one)) for one in arguments))
        _section("Commands", ((name, " ".join((one.help or "").split("\n\n")[0].split())) for name, one in below))
        _section("Options", ((", ".join(one.opts) + _value(one), _about(one)) for one in options))
        if command.epilog:
            out.print(f"\n{escape(command.epilog)}")
    return capture.get()


def _section(title: str, rows: Iterator[tuple[str, str]]) -> None:
    table = Table("name", "about", headings=False)
    for name, about in rows:
        table.add_row(f"  [cyan]{escape(name)}[/]", escape(about))
    if table.row_count:
        out.print(f"\n[bold]{title}[/]")
        out.print(table)


def _usage(argument: Any) -> str:
    name = _name(argument)
    return name if argument.required else f"[{name}]"


def _name(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return f"{name}..." if argument.nargs == -1 and not name.endswith("...") else name


def _value(option: Any) -> str:
    if option.is_flag:
        return ""
    return f" {option.metavar or 'VALUE'}"


def _about(param: Any) -> str:
    """What it means; its bounds, its default, whether it is needed, whether it may be repeated."""
    facts = []
    bounds = param if hasattr(param, "min") else param.type  # by typer's version
    low, high = getattr(bounds, "min", None), getattr(bounds, "max", None)
    if low is not None and high is not None:
        facts.append(f"{low:,.16g} to {high:,.16g}")
    if getattr(param, "multiple", False):
        facts.append("may be repeated")
    shown = getattr(param, "show_default", True)
    if isinstance(shown, str):
        facts.append(f"default: {shown}")
    elif shown and not getattr(param, "is_flag", False) and not callable(param.default) and param.default is not None:
        default = f"{param.default:g}" if isinstance(param.default, float) else str(param.default)
        facts += [f"default: {default}"] * (not default.startswith("Sentinel"))
    if param.required:
        facts.append("required")
    return " ".join([*([param.help] if param.help else []), *([f"[{'; '.join(facts)}]"] if facts else [])])


# --- completion -----------------------------------------------------------------------------------------------------


def complete_model(ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Names of models, those in ``--models`` among them, for shells that complete."""
    from ostinato.model import available

    folder = ctx.params.get("folder")
    try:
        return [name for name in available([folder] if folder else []) if name.startswith(incomplete)]
    except Exception:  # whatever it is, the command says it better
        return []
