"""Nodes and constants of a graph that skl2onnx collects."""

import numpy as np

# Numbers of onnx.TensorProto, which the format fixes.
FLOAT, INT64, STRING = 1, 7, 8
_TYPES = {
    np.dtype(np.float32): FLOAT,
    np.dtype(np.int64): INT64,
    np.dtype(object): STRING,
}
# A file of protobuf holds less than 2 GiB; such weights leave room for the rest.
_LARGEST = 1 << 30
# The first version of ONNX's operators in which the axes of a maximum are an input.
LEAST_OPSET = 18


class Graph:
    """Adds nodes to a skl2onnx container; results and constants are names."""

    def __init__(self, scope, container):
        if container.target_opset < LEAST_OPSET:
            raise ValueError(
                f"`target_opset` accepts {LEAST_OPSET} or more for this model; got "
                f"{container.target_opset}."
            )
        self._scope, self._container = scope, container

    def constant(self, values):
        """Return the name of a constant: floats as float32, integers as int64."""
        values = np.asarray(values)
        if values.dtype.kind == "f":
            values = values.astype(np.float32)
        if values.nbytes > _LARGEST:
            raise ValueError(
                f"`model` has weights of shape {values.shape}, {values.nbytes:,} "
                f"bytes; an ONNX file holds {_LARGEST:,} of one array here."
            )
        name = self._scope.get_unique_variable_name("constant")
        content = values.ravel()
        if values.dtype == object:
            content = [value.encode() for value in content]
        kind = _TYPES[values.dtype]
        self._container.add_initializer(name, kind, list(values.shape), content)
        return name

    def add(self, kind, *inputs, out=None, domain="", **attributes):
        """Add a node, inputs that are no names as constants; name its result."""
        inputs = [
            each if isinstance(each, str) else self.constant(each) for each in inputs
        ]
        out = out or self._scope.get_unique_variable_name(kind.lower())
        self._container.add_node(
            kind,
            inputs,
            [out],
            name=self._scope.get_unique_operator_name(kind),
            op_domain=domain,
            **attributes,
        )
        return out

    def row_sums(self, rows):
        """Return the sums of rows, shape (n, 1)."""
        return self.add("ReduceSum", rows, np.array([1]), keepdims=1)

    def over(self, rows, lengths):
        """Return rows over their lengths, those of length 0 as they are."""
        is_zero = self.add("Equal", lengths, np.array(0.0))
        lengths = self.add("Where", is_zero, np.array(1.0), lengths)
        return self.add("Div", rows, lengths)
