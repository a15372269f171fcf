# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG, drawn by gnuplot."""
import shutil
import subprocess
import sys


class Plots:
    def __init__(self, directory, wanted):
        self.directory = directory
        self.gnuplot = shutil.which("gnuplot") if wanted else None
        self.why_not = "gnuplot is not installed" if wanted else "none were asked for"

    def draw(self, name, commands, series, say):
        """One SVG; `series` is a list of (title, rows). Returns the lines that show it."""
        if not self.gnuplot:
            return [f"(No plot: {self.why_not}.)", ""]
        blocks = "".join(f"${key} << EOD\n" + "\n".join(" ".join(map(str, row)) for row in rows) + "\nEOD\n"
                         for key, (_, rows) in self.keyed(series))
        script = (f"set terminal svg size 760,420 font 'sans,11' background rgb 'white'\nset output '{self.directory / (name + '.svg')}'\n"
                  f"set grid\n{blocks}{commands(self.keyed(series))}\n")
        done = subprocess.run([self.gnuplot], input=script, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"evaluate.py: gnuplot cannot draw {name}: {done.stderr.strip()}")
        return [f"![{say}]({name}.svg)", ""]

    @staticmethod
    def keyed(series):
        return [(f"data{i}", one) for i, one in enumerate(series)]


def lines_plot(x, y, logarithmic):
    def commands(keyed):
        plots = ", ".join(f"${key} using 1:2 with linespoints title '{title}'" for key, (title, _) in keyed)
        return (f"set xlabel '{x}'\nset ylabel '{y}'\nset logscale {logarithmic}\nset key outside bottom horizontal\nset format x '10^{{%T}}'\n"
                f"plot {plots}")
    return commands


def bars_plot(y):
    def commands(keyed):
        key = keyed[0][0]
        return (f"set ylabel '{y}'\nset yrange [0:*]\nset offsets 0, 0, graph 0.08, 0\nset style fill solid 0.7\nset boxwidth 0.6\nunset key\nset xtics rotate by -20\n"
                f"plot ${key} using 0:2:xtic(1) with boxes, ${key} using 0:2:3 with labels offset 0,0.7")
    return commands
