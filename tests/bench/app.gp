# SPDX-License-Identifier: GPL-2.0-or-later
# gnuplot -e 'data="app.tsv"; out="app.png"; where="..."' app.gp
set terminal pngcairo size 1000,480 font ",10"
set output out
set grid
set multiplot layout 1,2 title where font ",9"
set xlabel "percent of the guest's memory that is local"
set ylabel "operations/s, emulated"
set yrange [0:*]
plot for [i=0:1] data index i using 1:2 with linespoints title columnheader(1)
set ylabel "p99, us, emulated"
set logscale y
set yrange [*:*]
plot for [i=0:1] data index i using 1:4 with linespoints title columnheader(1)
unset multiplot
