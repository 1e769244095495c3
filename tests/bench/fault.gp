# SPDX-License-Identifier: GPL-2.0-or-later
# gnuplot -e 'data="fault.tsv"; out="fault.png"; what="fault"; where="..."' fault.gp
set terminal pngcairo size 1000,520 font ",10"
set output out
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8
set grid ytics
set key outside right
set title where font ",9"
set ylabel what eq "fault-smp" ? "ns of CPU time per page, all threads, emulated" : "instructions per page, all threads"
stats data using 2 nooutput
plot for [i=0:STATS_blocks-2] data index i using 2:xtic(1) title columnheader(1)
