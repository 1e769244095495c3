# SPDX-License-Identifier: GPL-2.0-or-later
# gnuplot -e 'data="wire.tsv"; out="wire.png"; where="..."' wire.gp
set terminal pngcairo size 1000,480 font ",10"
set output out
set style data histograms
set style histogram rowstacked
set style fill solid 0.8
set boxwidth 0.7
set grid ytics
set key top left
set title where font ",9"
set yrange [0:*]
set xtics rotate by -20
set ylabel "instructions for a fetched page"
plot for [i=0:3] data index i using 2:xtic(1) title columnheader(1)
