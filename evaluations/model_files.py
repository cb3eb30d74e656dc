"""Which files a model is made of, by name, and which are refused because they are code or make it run."""

from pathlib import PurePosixPath

from evaluations.errors import EvaluationError

FILE_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja", ".tiktoken", ".metadata")
PICKLE_SUFFIXES = (
    ".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".cpkl", ".pt2", ".ot", ".nemo",
)  # fmt: skip
FOREIGN_SUFFIXES = (
    ".h5", ".hdf5", ".keras", ".msgpack", ".onnx", ".onnx_data", ".tflite", ".pb", ".gguf", ".ggml",
    ".mlmodel", ".npy", ".npz",
)  # fmt: skip
CODE_SUFFIXES = (
    ".py", ".pyc", ".pyo", ".pyi", ".pyx", ".pyd", ".so", ".dll", ".dylib", ".exe", ".sh", ".bash",
    ".bat", ".ps1", ".js", ".jar", ".class", ".rb", ".pl", ".lua", ".ipynb", ".wasm", ".cu", ".cpp",
)  # fmt: skip
MEND = "save the model with save_pretrained(folder, safe_serialization=True)"


def check_name(path: PurePosixPath) -> None:
    """Raises EvaluationError `MODEL-WEIGHTS` for pickles and other foreign weights, `MODEL-CODE` for code."""
    name = path.name.lower()
    if name.endswith(PICKLE_SUFFIXES):
        problem = f"{str(path)[:80]!r} is a pickle, which runs code when it is loaded; {MEND}"
        raise EvaluationError("MODEL-WEIGHTS", f"{problem}, and leave it out")
    if name.endswith(FOREIGN_SUFFIXES):
        problem = f"{str(path)[:80]!r} holds weights in a form that is never loaded; {MEND}"
        raise EvaluationError("MODEL-WEIGHTS", f"{problem}, and leave it out")
    if name.endswith(CODE_SUFFIXES):
        problem = f"{str(path)[:80]!r} is code, which is never run; leave it out"
        raise EvaluationError("MODEL-CODE", f"{problem}, and submit an architecture that transformers knows")
