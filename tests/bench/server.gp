# SPDX-License-Identifier: GPL-2.0-or-later
# gnuplot -e 'data="server.tsv"; out="server.png"; where="..."' server.gp
set terminal pngcairo size 1000,640 font ",10"
set output out
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8
set grid ytics
set xtics rotate by -35 font ",9"
set key top left
set multiplot layout 2,1 title where font ",9"
set ylabel "pages/s, thousands"
plot for [i=0:2] data index i using ($2/1000):xtic(1) title columnheader(1)
set ylabel "server CPU, us per page"
plot for [i=0:2] data index i using 3:xtic(1) title columnheader(1)
unset multiplot
