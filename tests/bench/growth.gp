# SPDX-License-Identifier: GPL-2.0-or-later
# gnuplot -e 'data="growth.tsv"; out="growth.png"; where="..."' growth.gp
set terminal pngcairo size 900,480 font ",10"
set output out
set grid
set key outside right
set title where font ",9"
set logscale x 2
set xlabel "MiB of the VM (several rows of one size: several VMs)"
set ylabel "instructions"
set yrange [0:*]
plot for [i=0:2] data index i using 1:3 with points pt 7 title columnheader(1)." fault", \
     for [i=0:2] data index i using 1:4 with points pt 6 ps 1.5 title columnheader(1)." eviction"
