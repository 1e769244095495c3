# SPDX-License-Identifier: GPL-2.0-or-later
# gnuplot -e 'data="app.tsv"; out="app.png"; where="..."' app.gp
set terminal pngcairo size 1200,480 font ",10"
set output out
set grid
set multiplot layout 1,3 title where font ",9"
set xlabel "percent of the guest's memory that is local"
set ylabel "operations/s"
set yrange [0:*]
set key bottom
plot for [i=0:3] data index i using 1:2 with linespoints title columnheader(1)
set ylabel "p99, us"
set logscale y
set yrange [*:*]
set key top
plot for [i=0:3] data index i using 1:4 with linespoints title columnheader(1)
set xlabel "offered load, operations/s"
set xtics 4000
plot for [i=4:5] data index i using 1:4 with linespoints title columnheader(1)
unset multiplot
