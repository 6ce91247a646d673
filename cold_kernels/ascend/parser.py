"""HIVM text -> parsed module, by xDSL."""

from xdsl.context import Context
from xdsl.dialects import affine, arith, builtin, func, math, memref, scf
from xdsl.parser import Parser

DIALECTS = (
    builtin.Builtin,
    func.Func,
    arith.Arith,
    memref.MemRef,
    scf.Scf,
    affine.Affine,
    math.Math,
)


def parse(hivm: str) -> builtin.ModuleOp:
    """The module of MLIR in generic form; operations of HIVM appear as unregistered ones."""
    context = Context(allow_unregistered=True)
    for dialect in DIALECTS:
        context.load_dialect(dialect)
    return _Utf8Parser(context, hivm).parse_module()


class _Utf8Parser(Parser):
    """MLIR writes what is not ASCII as the bytes of UTF-8, such as a folder's name in a location: ``"\\E7\\94\\A8"``.
    xDSL takes a string with such bytes for no string, and then reads no location."""

    def parse_optional_str_literal(self) -> str | None:
        if (text := super().parse_optional_str_literal()) is not None:
            return text
        data = self.parse_optional_bytes_literal()
        return None if data is None else data.decode(errors="backslashreplace")
