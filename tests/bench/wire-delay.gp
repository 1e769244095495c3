# SPDX-License-Identifier: GPL-2.0-or-later
# gnuplot -e 'data="wire-delay.tsv"; out="wire-delay.png"; where="..."' wire-delay.gp
set terminal pngcairo size 1000,480 font ",10"
set output out
set grid
set key top left
set multiplot layout 1,2 title where font ",9"
set xlabel "delay of the wire, us"
set ylabel "p50, us"
set yrange [0:*]
plot for [i=0:3] data index i using 1:2 with linespoints title columnheader(1)
set ylabel "p99.9, us"
set logscale y
set yrange [*:*]
plot for [i=0:3] data index i using 1:4 with linespoints title columnheader(1)
unset multiplot
