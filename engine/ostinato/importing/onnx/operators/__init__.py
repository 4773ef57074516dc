"""What each operator becomes, a room for each family, and the table of them all."""

from ostinato.importing.onnx.call import Convert
from ostinato.importing.onnx.operators.convolution import CONVOLUTION
from ostinato.importing.onnx.operators.elementwise import ELEMENTWISE
from ostinato.importing.onnx.operators.layout import LAYOUT
from ostinato.importing.onnx.operators.normalisation import NORMALISATION
from ostinato.importing.onnx.operators.products import PRODUCTS
from ostinato.importing.onnx.operators.recurrent import RECURRENT

OPERATORS: dict[str, Convert] = {
    **LAYOUT, **ELEMENTWISE, **PRODUCTS, **CONVOLUTION, **NORMALISATION, **RECURRENT,
}  # fmt: skip
"""By their names, ONNX's own and those of com.microsoft."""

__all__ = ["OPERATORS", "Convert"]
