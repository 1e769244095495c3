# SPDX-License-Identifier: GPL-2.0-or-later
# gnuplot -e 'data="batch.tsv"; out="batch.png"; where="..."' batch.gp
set terminal pngcairo size 900,480 font ",10"
set output out
set grid
set key outside right
set title where font ",9"
set xlabel "percent of the guest's memory that is local"
set ylabel "seconds, emulated"
set yrange [0:*]
stats data using 2 nooutput
plot for [i=0:STATS_blocks-2] data index i using 1:2 with linespoints title columnheader(1)
