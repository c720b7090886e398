"""Writes test/fixtures/onnx.json.gz: ONNX's own cases of single operators, onnx.backend.test.case.node, which
test/onnx.test.ts holds this engine to. Taken are those of one node whose tensors are numbers of at most 1,000 elements
each, of attention 1,100 in all, but for operators that an engine of tensors has no use for (pictures, trees, sequences, recurrent cells,
quantisation, optimisers); of which operators how many are left out stands in the file, too.

Run: pip install onnx==1.23.2 && python test/reference/onnx-cases.py
"""

import base64
import collections
import gzip
import json
import pathlib
import warnings

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

MOST = 1000
# Attention has many cases of random tensors, which don't pack.
MOST_IN_ALL = {"Attention": 1100}
# Integers are i32 or u32 here.
LARGEST = 2**32
TYPES = set("bool float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64".split())
LEFT_OUT = set(
    """Adagrad Adam AffineGrid ArrayFeatureExtractor Bernoulli Binarizer BitCast CausalConvWithState Col2Im DFT
    DeformConv DequantizeLinear Det FlexAttention GRU GridSample If ImageDecoder LRN LSTM LinearAttention Loop
    MaxUnpool Momentum NonMaxSuppression NonZero OptionalGetElement OptionalHasElement QLinearMatMul
    QuantizeLinear RNN Resize RoiAlign STFT Scan TfIdfVectorizer TreeEnsemble Unique Upsample""".split()
)


def tensor(array: np.ndarray) -> dict:
    if array.dtype.kind == "f":
        # Every float16 is a float32 as well, and a float64 near one.
        data = base64.b64encode(array.astype("<f4").tobytes()).decode()
    else:
        data = [int(value) for value in array.flatten()]
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": data}


def as_array(value: object) -> object:
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def usable(array: object) -> bool:
    if not isinstance(array, np.ndarray) or str(array.dtype) not in TYPES:
        return False
    return array.size <= MOST and (array.dtype.kind == "f" or not np.any(np.abs(array.astype(object)) > LARGEST))


def attributes(node: onnx.NodeProto) -> dict | None:
    values = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode()
        if isinstance(value, (list, tuple)):
            value = [one.decode() if isinstance(one, bytes) else one for one in value]
        elif not isinstance(value, (int, float, str)):
            return None
        values[attribute.name] = value
    return values


def main() -> None:
    warnings.filterwarnings("ignore")
    np.random.seed(0)
    cases, left = [], collections.Counter()
    for case in collect_testcases(None):
        graph = case.model.graph
        if len(graph.node) != 1:
            continue
        node = graph.node[0]
        inputs, outputs = ([as_array(value) for value in values] for values in case.data_sets[0])
        options = attributes(node)
        fits = all(usable(array) for array in [*inputs, *outputs])
        whole = sum(array.size for array in [*inputs, *outputs] if isinstance(array, np.ndarray))
        fits = fits and whole <= MOST_IN_ALL.get(node.op_type, whole) and "qk_matmul_output" not in node.output
        if not fits or options is None or node.op_type in LEFT_OUT:
            left[node.op_type] += 1
            continue
        given = iter(inputs)
        cases.append(
            {
                "name": case.name.removeprefix("test_"),
                "op": node.op_type,
                "attributes": options,
                "inputs": [tensor(next(given)) if name else None for name in node.input],
                "outputs": [tensor(array) for array in outputs],
            }
        )
    text = json.dumps({"onnx": onnx.__version__, "leftOut": dict(sorted(left.items())), "cases": cases})
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "onnx.json.gz"
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(cases)} cases, {path.stat().st_size} bytes")


main()
