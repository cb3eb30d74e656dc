"""Hostile folders of vectors: each is refused by name, and none allocates more than it holds."""

import gzip
import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array, save_npz

from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.systems.vector_files import VectorLimits
from evaluations.systems.vectors import Vectors

SPARE_BYTES = 256 * 1024**2


class Folder:
    """A right folder of one form that a case then spoils."""

    def __init__(self, path, form):
        self.path = path
        self.meta(dimensions=3, similarity="dot")
        for side, prefix in (("documents", "d"), ("queries", "q")):
            getattr(self, form)(side, f"{prefix}1")

    def meta(self, **facts):
        (self.path / "meta.json").write_text(json.dumps(facts))

    def write(self, name, content):
        (self.path / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def npy(self, side, key):
        np.save(self.path / f"{side}.npy", np.ones((1, 3), dtype=np.float32))
        self.write(f"{side}.ids.txt", f"{key}\n")

    def safetensors(self, side, key):
        self.write(f"{side}.safetensors", tensors({"embeddings": tensor([1, 3], 12)}, b"\0" * 12))
        self.write(f"{side}.ids.txt", f"{key}\n")

    def npz(self, side, key):
        save_npz(self.path / f"{side}.npz", csr_array(np.eye(1, 3, dtype=np.float32)))
        self.write(f"{side}.ids.txt", f"{key}\n")

    def jsonl(self, side, key):
        self.write(f"{side}.jsonl", json.dumps({"id": key, "vector": {"a": 1}}) + "\n")


def npy(header, payload=b"\0" * 12, version=1):
    raw = header.encode("latin-1")
    length = struct.pack("<H" if version == 1 else "<I", len(raw))
    return b"\x93NUMPY" + bytes([version, 0]) + length + raw + payload


def described(descr="<f4", shape="(1, 3)"):
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"


def saved(array, **settings):
    stream = io.BytesIO()
    np.save(stream, array, **settings)
    return stream.getvalue()


def tensor(shape, end, dtype="F32", start=0):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def tensors(header, payload):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + payload


def archive(*, form=zipfile.ZIP_STORED, comment=b"", **replaced):
    """A CSR matrix of one row as save_npz writes it, some of its arrays replaced; None leaves one out."""
    arrays = {
        "indices": np.array([0], dtype=np.int32),
        "indptr": np.array([0, 1], dtype=np.int32),
        "format": np.array(b"csr"),
        "shape": np.array([1, 3], dtype=np.int64),
        "data": np.array([1.0], dtype=np.float32),
    } | replaced
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", form) as packed:
        for name, array in arrays.items():
            if array is not None:
                packed.writestr(f"{name}.npy", array if isinstance(array, bytes) else saved(array))
        packed.comment = comment
    return stream.getvalue()


def with_extra(name):
    stream = io.BytesIO(archive())
    with zipfile.ZipFile(stream, "a") as packed, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # zipfile warns about what is written twice
        packed.writestr(name, saved(np.array([1.0], dtype=np.float32)))
    return stream.getvalue()


def directory_says(size):
    """The directory declares another unpacked size of `data.npy` than there is."""
    content = bytearray(archive())
    entry = content.rindex(b"data.npy") - 46
    content[entry + 24 : entry + 28] = struct.pack("<I", size)
    return bytes(content)


def directory_of(size):
    content = bytearray(archive())
    content[-10:-6] = struct.pack("<I", size)
    return bytes(content)


def directory64_of(size):
    """A second end record, as long files have it, that overrules the first."""
    content = archive()
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 5, 5, size, 0)
    return (
        content[:-22] + record + b"PK\x06\x07" + struct.pack("<IQI", 0, len(content) - 22, 1) + content[-22:]
    )


def encrypted():
    content = bytearray(archive())
    entry = content.rindex(b"data.npy") - 46
    content[entry + 8] |= 1
    return bytes(content)


def line(vector='{"a": 1}', key='"d1"'):
    return f'{{"id": {key}, "vector": {vector}}}\n'


NESTED = "[" * 100_000
BOMB = gzip.compress(b" " * 80 * 1024**2)
META_CASES = [
    ("", "META", "is not JSON"),
    (NESTED, "META", "is larger than 65,536 bytes"),
    (NESTED[:60_000], "META", "is not JSON"),
    (b"\xff\xfe{}", "META", "is not JSON"),
    ("[]", "META", "is not a JSON object"),
    (
        '{"similarity": "dot"}',
        "META",
        '"dimensions" must be a whole number from 1; ',
    ),
    ('{"dimensions": true, "similarity": "dot"}', "META", '"dimensions"'),
    ('{"dimensions": 0, "similarity": "dot"}', "META", '"dimensions"'),
    (
        '{"dimensions": 3, "similarity": "l2"}',
        "META",
        '"similarity" must be "dot" or',
    ),
    ('{"dimensions": 3, "similarity": []}', "META", '"similarity" must be "dot" or'),
    (
        '{"dimensions": 3, "similarity": "dot", "encoder": "a\\nb"}',
        "META",
        '"encoder"',
    ),
]
NPY_CASES = [
    (npy(described(shape="(1000000000000, 3)")),
     "FORMAT", "declares 12,000,000,000,000 bytes of numbers"),
    (npy(described(shape="(999999999999999, 999999999999999)")), "FORMAT", "declares"),
    (npy(described(), b"\0" * 13), "FORMAT", "declares 12 bytes of numbers and holds 13"),
    (npy(described(), b"\0" * 11), "FORMAT", "declares 12 bytes"),
    (npy(described(shape="(3,)")), "FORMAT", "has 1 dimensions; save a matrix"),
    (npy(described(shape="(1, 1, 3)")), "FORMAT", "has 3 dimensions"),
    (npy(described(shape="(1, -3)")), "FORMAT", "has a header that cannot be read"),
    (npy(described(descr="|O")), "PICKLE", "holds pickled Python objects, which are"),
    (saved(np.array([[{}]]), allow_pickle=True), "PICKLE", ""),
    (saved(np.zeros(1, dtype=[("a", "<f4")])), "FORMAT", "has a header that cannot"),
    (npy(described() + "__import__('os').system('true')"), "FORMAT", "has a header"),
    (npy(described() + described()), "FORMAT", "has a header"),
    (npy("(" * 4000), "FORMAT", "has a header that cannot be read"),
    (npy(" " * 60_000), "FORMAT", "has an .npy header of 60,000 bytes"),
    (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "FORMAT", "has an .npy header of 4,294"),
    (b"\x93NUMPY\x01\x00\x76\x00{'descr'", "FORMAT", "has a header that cannot"),
    (b"\x93NUM", "FORMAT", "is no .npy array; write it with numpy.save"),
    (b"", "FORMAT", "is no .npy array"),
    (npy(described(descr="<f3")), "FORMAT", "holds '<f3', which is no type of number"),
    (saved(np.ones((1, 3), dtype=np.uint8)), "FORMAT", "holds uint8; save float32"),
    (saved(np.ones((1, 3), dtype=np.complex64)), "FORMAT", "holds '<c8'; save float32"),
    (saved(np.ones((1, 4), dtype=np.float32)),
     "DIMENSIONS", "has vectors of 4 numbers, and meta.json says"),
    (saved(np.array([[1, np.nan, 1]], dtype=np.float32)),
     "VALUE", "row 1 has values that are not finite"),
    (saved(np.array([[1, -np.inf, 1]], dtype=np.float16)), "VALUE", "row 1 has values"),
    (saved(np.array([[1, 1e300, 1]])), "VALUE", "row 1 has values that are not finite"),
    (saved(np.array([[1, 1e30, 1]])), "VALUE", "row 1 is too long; scale the vectors"),
    (saved(np.ones((2, 3), dtype=np.float32)), "IDS", "has 1 ids, and documents.npy"),
]  # fmt: skip
IDS_CASES = [
    ("", "IDS", "has 0 ids, and documents.npy has 1 vectors; "),
    ("d1\nd2\n", "IDS", "has more than 1 ids"),
    ("d1\n\n", "IDS", "line 2: id '' is empty or has white space"),
    ("d 1\n", "IDS", "line 1: id 'd 1' is empty or has white space"),
    ("d\x00\n", "IDS", "line 1: id"),
    (b"\xe9\n", "IDS", "line 1 is not UTF-8"),
    ("d" * 1025, "IDS", "line 1: the id is longer than 1024 bytes"),
    ("d" * 5_000_000, "IDS", "line 1: the id is longer"),
]
TENSOR_CASES = [
    (b"", "FORMAT", "is no safetensors file: it has a header of 0"),
    (struct.pack("<Q", 2**63) + b"{}", "FORMAT", "is no safetensors file"),
    (tensors(b"not json", b""), "FORMAT", "is no safetensors file"),
    (tensors(NESTED.encode(), b""), "FORMAT", "is no safetensors file"),
    (tensors({"other": tensor([1, 3], 12)}, b"\0" * 12),
     "FORMAT", "must hold one tensor, 'embeddings'; it holds"),
    (tensors({"embeddings": tensor([1, 3], 12), "b": tensor([0], 12, start=12)}, b"\0" * 12),
     "FORMAT", "must hold one tensor"),
    (tensors({"embeddings": tensor([10**12, 3], 12)}, b"\0" * 12),
     "FORMAT", "declares 12,000,000,000,000 bytes"),
    (tensors({"embeddings": tensor([1, 3], 24)}, b"\0" * 12), "FORMAT", "is no"),
    (tensors({"embeddings": tensor([1, 3], 12, start=4)}, b"\0" * 12), "FORMAT", ""),
    (tensors({"embeddings": tensor([-1, -3], 12)}, b"\0" * 12), "FORMAT", "is"),
    (tensors({"embeddings": tensor([True, 3], 12)}, b"\0" * 12), "FORMAT", "is"),
    (tensors({"embeddings": [1]}, b"\0" * 12), "FORMAT", "is no"),
    (tensors({"embeddings": tensor([1, 3], 12, "F8_E4M3")}, b"\0" * 12),
     "FORMAT", "holds F8_E4M3; save float32"),
]  # fmt: skip
NPZ_CASES = [
    (b"PK", "FILE", "is no .npz file, or is cut off"),
    (archive()[:-30], "FILE", "is no .npz file, or is cut off"),
    (archive(comment=b"!" * 100), "FILE", "is no .npz file, or is cut off"),
    (archive(data=np.array([{}], dtype=object)), "PICKLE", ", data.npy holds pickled"),
    (archive(data=np.zeros(50 * 1024**2, dtype=np.int16), form=zipfile.ZIP_DEFLATED),
     "SIZE", "unpacks to 104,858,"),
    (directory_says(2**31), "SIZE", "unpacks to 2,147,"),
    (directory_says(200), "FORMAT", ", data.npy declares 4 bytes of numbers and h"),
    (archive(data=npy(described(shape="(99999999999,)"), b"\0" * 4)),
     "FORMAT", ", data.npy declares 399,999,999,996 bytes of"),
    (directory_of(2**30), "SIZE", "has a directory of 1,073,741,824 bytes"),
    (directory64_of(2**40), "SIZE", "has a directory of 1,099,511,627,776 bytes"),
    (encrypted(), "FORMAT", "has an entry 'data.npy' that a CSR matrix do"),
    (with_extra("data.npy"), "FORMAT", "has an entry 'data.npy' that a CSR matrix"),
    (with_extra("../data.npy"), "FORMAT", "has an entry '../data.npy'"),
    (archive(indices=None), "FORMAT", "has no array 'indices' (it has: data, format"),
    (archive(format=np.array(b"csc")), "FORMAT", "holds a csc matrix; save"),
    (archive(format=np.zeros(1000)), "FORMAT", "holds a strange matrix"),
    (archive(shape=np.array([1, 4])),
     "DIMENSIONS", "has 4 columns, and meta.json says 3 dimensio"),
    (archive(shape=np.array([-1, 3])), "FORMAT", "is no consistent CSR matrix (its shap"),
    (archive(shape=np.array([9, 3])), "FORMAT", "is no consistent CSR matrix (indptr"),
    (archive(shape=np.array([10**12, 3])), "SIZE", "has 1,000,000,000,000 vectors"),
    (archive(indices=np.array([3], dtype=np.int32)), "FORMAT", "is no consistent CSR"),
    (archive(indices=np.array([-1], dtype=np.int32)), "FORMAT", "is no consistent CSR"),
    (archive(indices=np.array([0.0])), "FORMAT", "is no consistent CSR matrix (indic"),
    (archive(indptr=np.array([0, 2**40])), "FORMAT", "is no consistent CSR matrix (ind"),
    (archive(indptr=np.array([1, 1])), "FORMAT", "is no consistent CSR matrix (indptr"),
    (archive(shape=np.array([2, 3]), indptr=np.array([0, 2, 1])),
     "FORMAT", "is no consistent CSR matrix (indptr"),
    (archive(data=np.ones(2)), "FORMAT", "is no consistent CSR matrix (data"),
    (archive(data=np.array([np.nan])), "VALUE", "row 1 has values that are not finite"),
    (archive(data=np.array([1e39])), "VALUE", "row 1 has values that are not finite"),
    (archive(data=np.array([1.0, 2.0]), indices=np.array([1, 1]), indptr=np.array([0, 2])),
     "VALUE", "row 1 has column 1 twice; call sum_duplicate"),
]  # fmt: skip
LINE_CASES = [
    ("d1 a:1\n", "LINE", "line 1 is not JSON"),
    (line() + "[]\n", "LINE", "line 2 is not a JSON object; write"),
    (line() + "\n" + line(), "IDS", "line 3: d1 is there twice; keep one"),
    (line('{"a": 1, "b": 2, "a": 3}'), "LINE", "line 1 has token 'a' twice; add"),
    (line('{"a": NaN}'), "LINE", "line 1 is not JSON (NaN is no number)"),
    (line('{"a": -Infinity}'), "LINE", "line 1 is not JSON (-Infinity is no"),
    (line('{"a": 1e999}'), "VALUE", "line 1: the weight of 'a' must be a finite"),
    (line('{"a": %s}' % ("9" * 4000)), "VALUE", "line 1: the weight of 'a' must"),
    (line('{"a": %s}' % ("9" * 5000)), "LINE", "line 1 is not JSON"),
    (line('{"a": 1e30}'), "VALUE", "line 1 is too long a vector; scale"),
    (line('{"a": true}'), "VALUE", "line 1: the weight of 'a' must be a finite"),
    (line('{"a": "1"}'), "VALUE", "line 1: the weight of 'a' must be a finite"),
    (line('{"a": {"b": 1}}'), "VALUE", "line 1: the weight of 'a' must be"),
    (line("[1, 2]"), 'LINE', 'line 1 must have one "id" and one object "ve'),
    ('{"id": "d1"}\n', 'LINE', 'line 1 must have one "id"'),
    ('{"id": "d1", "vector": {}, "vector": {"a": 1}}\n', "LINE", "line 1 must have"),
    ('{"id": "d1", "id": "d2", "vector": {}}\n', "LINE", "line 1 must have one"),
    (line(key="1"), 'IDS', 'line 1 must have a text "id" (found int); nu'),
    (line(key='"d 1"'), "IDS", "line 1: id 'd 1' is empty or has white space"),
    (line(key='"\\ud800"'), "IDS", "line 1: the id has half a surrogate pair"),
    (line('{"a": 1, "b": 1, "c": 1, "d": 1}'),
     "DIMENSIONS", "line 1 brings more tokens than meta.json's 3"),
    (NESTED, "LINE", "line 1 is not JSON"),
    ('{"a":' * 100_000, "LINE", "line 1 is not JSON"),
    ("[" + "{}," * 400_000 + "{}]", "LINE", "line 1 is not a JSON object"),
    (" " * 5_000_000, "LINE", "line 1 is longer than 4,194,304 bytes"),
    (b'{"id": "\xe9"}\n', "LINE", "line 1 is not UTF-8"),
    (gzip.compress(line().encode())[:-12], "FILE", "is damaged or cut off"),
    (b"\x1f\x8bnothing", "FILE", "is damaged or cut off"),
    (gzip.compress((" " * 1023 + "\n").encode() * 76 * 1024),
     "SIZE", "unpacks to more than"),
    (BOMB, "LINE", "line 1 is longer than 4,194,304 bytes"),
    ("", "DOCUMENTS", "none of its 0 ids is of the documents"),
]  # fmt: skip
CASES = [
    *(("npy", "meta.json", *case) for case in META_CASES),
    *(("npy", "documents.npy", *case) for case in NPY_CASES),
    *(("npy", "documents.ids.txt", *case) for case in IDS_CASES),
    *(("safetensors", "documents.safetensors", *case) for case in TENSOR_CASES),
    *(("npz", "documents.npz", *case) for case in NPZ_CASES),
    *(("jsonl", "documents.jsonl", *case) for case in LINE_CASES),
]


def retrieved(folder, limits=None):
    system = Vectors(folder.path, limits=limits)
    system.choose("tiny", {"d1"})
    system.index(None, Progress())
    return system.retrieve({"q1": ""}, 10, Progress())


def refusal(folder, limits=None):
    with pytest.raises(EvaluationError) as caught:
        retrieved(folder, limits)
    return str(caught.value)


@pytest.mark.parametrize("form", ["npy", "safetensors", "npz", "jsonl"])
def test_the_folders_that_are_spoilt_here_are_right_before(tmp_path, form):
    assert set(retrieved(Folder(tmp_path, form)).lists) == {"q1"}


@pytest.mark.parametrize(
    ("form", "name", "content", "code", "problem"), CASES, ids=[" ".join(case[3:]) for case in CASES]
)
def test_a_spoilt_file_is_refused_by_name_and_allocates_no_more_than_it_holds(
    tmp_path, form, name, content, code, problem
):
    folder = Folder(tmp_path, form)
    folder.write(name, content)
    tracemalloc.start()
    try:
        found = refusal(folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.startswith(f"error[VECTORS-{code}]: {name.partition('.')[0]}.")
    assert problem in found
    assert peak < (tmp_path / name).stat().st_size + SPARE_BYTES


def test_a_missing_file_is_named(tmp_path):
    folder = Folder(tmp_path, "npy")
    (tmp_path / "documents.ids.txt").unlink()
    assert refusal(folder).startswith(
        "error[VECTORS-IDS]: documents.ids.txt: No such file or directory; write"
    )
    (tmp_path / "documents.npy").unlink()
    assert "has no vectors of the documents; one of documents.jsonl, documents.jsonl.gz," in refusal(folder)
    (tmp_path / "meta.json").unlink()
    assert refusal(folder).startswith("error[VECTORS-FOLDER]")


def test_two_forms_of_one_side_would_leave_open_which_counts(tmp_path):
    folder = Folder(tmp_path, "npy")
    folder.jsonl("documents", "d1")
    assert "has documents.jsonl and documents.npy; keep the one that counts" in refusal(folder)


@pytest.mark.parametrize(
    ("form", "other"), [("npy", "jsonl"), ("jsonl", "npz"), ("npz", "jsonl"), ("npz", "npy")]
)
def test_queries_of_another_form_are_refused(tmp_path, form, other):
    folder = Folder(tmp_path, form)
    (tmp_path / f"queries.{form}").unlink()
    getattr(folder, other)("queries", "q1")
    assert refusal(folder).startswith(
        f"error[VECTORS-FORMAT]: queries.{other} does not go with the form of the"
    )


def test_a_compressed_sparse_column_matrix_is_refused(tmp_path):
    folder = Folder(tmp_path, "npz")
    save_npz(tmp_path / "documents.npz", csc_array(np.eye(1, 3)))
    assert refusal(folder).startswith("error[VECTORS-FORMAT]: documents.npz holds a csc matrix")


def test_a_row_is_named_from_the_start_of_the_file(tmp_path):
    folder = Folder(tmp_path, "npy")
    matrix = np.ones((20_000, 3), dtype=np.float32)
    matrix[19_998, 1] = np.nan
    np.save(tmp_path / "documents.npy", matrix)
    folder.write("documents.ids.txt", "".join(f"d{number}\n" for number in range(20_000)))
    assert refusal(folder).startswith("error[VECTORS-VALUE]: documents.npy row 19999 has")


@pytest.mark.parametrize(
    ("form", "limits", "message"),
    [
        ("npy", VectorLimits(bytes=100), "documents.npy has 140 bytes; at most 100"),
        ("npy", VectorLimits(rows=0), "documents.npy has 1 vectors; at most 0"),
        (
            "npy",
            VectorLimits(dense_dimensions=2),
            "documents.npy has vectors of 3 numbers;",
        ),
        ("jsonl", VectorLimits(rows=0), "documents.jsonl has 1 vectors; at most 0"),
        (
            "jsonl",
            VectorLimits(sparse_dimensions=2),
            "meta.json: 3 dimensions; at most 2",
        ),
    ],
)
def test_limits_are_named(tmp_path, form, limits, message):
    assert refusal(Folder(tmp_path, form), limits).startswith(f"error[VECTORS-SIZE]: {message}")
