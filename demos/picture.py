"""Draw demos/tour.svg, the picture in the README: the comparison table and a heat map, as the terminal shows them.

Run with: python demos/picture.py
"""

import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from symdiff.draw.heatmap import HeatMap
from symdiff.terminal.comparison import ComparisonTable
from symdiff.terminal.maths import Maths
from symdiff.terminal.tour_derivatives import example, example_comparison
from symdiff.terminal.tour_heat import plate

console = Console(
    record=True, file=io.StringIO(), width=98, force_terminal=True, color_system="truecolor", highlight=False
)
f, x, y = example()
console.print(Maths(f, "f"))
console.print(ComparisonTable(example_comparison()))

problem, u, k = plate()
sol = problem.discretize(shape=(193, 97), order=4).run(until=0.06, parameters={k: 0.05})
console.print(f"heat equation, t = {sol.t:g}, {sol.steps} steps of {sol.method}", style="dim")
console.print(HeatMap(sol[u], low=0.0, high=0.6, colours="inferno", aspect=0.5, width=84, height=21))

svg = console.export_svg(title="symdiff tour", theme=MONOKAI, unique_id="tour")
# A picture in a page loads no fonts from the network: the reader's own is used.
svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")
target = Path(__file__).with_name("tour.svg")
target.write_text(svg, encoding="utf-8")
print(f"{target}: {len(svg) / 1024:.0f} KiB")
