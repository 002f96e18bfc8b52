"""Writes the ONNX files beside it with onnx 1.x (PyPI), whose wire format the
walker has to know. Run it in this folder; the files are a few hundred bytes."""

import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def graph(nodes, initializers, name="g"):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    return helper.make_graph(nodes, name, [x], [y], initializers)


def save(name, g, functions=(), **external):
    model = helper.make_model(g, functions=list(functions), opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, name, **external)


def weights(kind, name="w"):
    return numpy_helper.from_array(np.eye(4, dtype=kind), name)


matmul = helper.make_node("MatMul", ["x", "w"], ["y"])
save("fp32.onnx", graph([matmul], [weights(np.float32)]))
save("fp16.onnx", graph([helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
                         helper.make_node("MatMul", ["h", "w"], ["z"]),
                         helper.make_node("Cast", ["z"], ["y"], to=TensorProto.FLOAT)], [weights(np.float16)]))
save("dynamic.onnx", graph([helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "p"]),
                            helper.make_node("MatMulInteger", ["q", "w", "p"], ["i"]),
                            helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)], [weights(np.uint8)]))
save("custom.onnx", graph([helper.make_node("FlashAttention", ["x", "w"], ["y"], domain="ck.flash")], [weights(np.float32)]))
if os.path.exists("external.onnx_data"):  # onnx does not write over it
    os.remove("external.onnx_data")
external = dict(save_as_external_data=True, all_tensors_to_one_file=True, size_threshold=0)
save("external.onnx", graph([matmul], [weights(np.float32)]), location="external.onnx_data", **external)


def outside(name):
    """A tensor whose weights are said to be in a file of that name."""
    t = weights(np.float32)
    onnx.external_data_helper.set_external_data(t, location=name)
    t.ClearField("raw_data")
    t.data_location = TensorProto.EXTERNAL
    return t


# Every place of a file that can hold a tensor names another one.
inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=outside("in-branch"))], "branch", [],
                          [helper.make_tensor_value_info("c", TensorProto.FLOAT, [4, 4])], [outside("in-branch-initializer")])
sparse = onnx.SparseTensorProto(values=outside("in-sparse-values"), indices=outside("in-sparse-indices"), dims=[16])
local = helper.make_function("own", "F", ["a"], ["b"], [helper.make_node("Constant", [], ["b"], value=outside("in-function"))],
                             [helper.make_opsetid("", 17)])
g = graph([matmul, helper.make_node("F", ["x"], ["f"], domain="own"),
           helper.make_node("If", ["t"], ["c"], then_branch=inner, else_branch=inner),
           helper.make_node("Constant", [], ["s"], sparse_value=sparse)],
          [outside("in-initializer")])
g.sparse_initializer.append(onnx.SparseTensorProto(values=outside("in-sparse-initializer"), indices=outside("in-sparse-initializer"), dims=[16]))
model = helper.make_model(g, functions=[local])
training = model.training_info.add()
training.algorithm.CopyFrom(helper.make_graph([], "t", [], [], [outside("in-training")]))
lists = helper.make_node("L", ["x"], ["l"], domain="own", tensors=[outside("in-tensors")], graphs=[inner])
model.graph.node.append(lists)
with open("everywhere.onnx", "wb") as f:
    f.write(model.SerializeToString())
