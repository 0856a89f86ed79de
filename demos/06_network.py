"""A 784-512-512-10 network, trained on images in IDX files: MNIST, Fashion-MNIST or a set in their form.

FOLDER holds the four files (train-images-idx3-ubyte and so on, packed or not). Without it the demo says where they come
from and takes the 8×8 digits that scikit-learn ships. Run with: python demos/06_network.py [FOLDER] [STEPS]
"""

import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

import symdiff as sd
from symdiff.data import read_images
from symdiff.data.idx import OFFICIAL
from symdiff.models import cross_entropy, nn
from symdiff.terminal.tables import table

console = Console()
folders = [word for word in sys.argv[1:] if not word.isdigit()]
max_steps = next((int(word) for word in sys.argv[1:] if word.isdigit()), 2000)
if folders:
    try:
        x, y, x_test, y_test = read_images(Path(folders[0]))
    except sd.SymdiffError as error:
        sys.exit(str(error))
    scale = 255
else:
    console.print(f"For the images of the lectures, give the folder of their four files. {OFFICIAL}", soft_wrap=True)
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        sys.exit("Without them this demo needs scikit-learn's digits: pip install scikit-learn.")
    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.target))
    train, test = order[:1400], order[1400:]
    x, y, x_test, y_test = digits.data[train], digits.target[train], digits.data[test], digits.target[test]
    scale = 16


def rows(images: np.ndarray) -> np.ndarray:
    """One image a row, numbers from 0 to 1."""
    return (images.reshape(len(images), -1) / np.float32(scale)).astype(np.float32)


x, x_test = rows(x), rows(x_test)
n_inputs, n_classes = x.shape[1], int(max(y.max(), y_test.max())) + 1
net = nn.Sequential(
    nn.Linear(n_inputs, 512), nn.relu, nn.Linear(512, 512), nn.relu, nn.Linear(512, n_classes)
)  # fmt: skip
X, labels = sd.matrix("X", "n", n_inputs, "float32"), sd.array("labels", "n", "int64")

began = time.perf_counter()
fit = nn.minimize(
    lambda w, training: cross_entropy(net(w, X, training), labels),
    net.init(seed=3, dtype="float32"),
    {X: x, labels: y.astype(np.int64)},
    method=sd.optimize.Adam(lr=1e-3),
    batch_size=128,
    max_steps=max_steps,
    progress=True,
)
seconds = time.perf_counter() - began
predict = nn.compile(net, fit.params, X)

report = table("images", ">number", ">accuracy", ">of the worst class")
for name, images, truth in (("seen", x, y), ("unseen", x_test, y_test)):
    right = predict(images).argmax(axis=1) == truth
    worst = min(right[truth == k].mean() for k in np.unique(truth))
    report.add_row(name, f"{len(truth):,}", f"{right.mean():.2%}", f"{worst:.2%}")
sizes = "-".join(map(str, (n_inputs, 512, 512, n_classes)))
n_weights = sum(leaf.size for leaf in nn.leaves(fit.params))
console.print(
    f"{sizes}, {n_weights:,} parameters in float32: {fit.result.steps} steps in {seconds:.1f} s, compiling included"
)
console.print(report)
