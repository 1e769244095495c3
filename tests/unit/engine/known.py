#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A known fault: exit 1 while a walk fails with exactly this sentence, else 0.

    known.py WALK SENTENCE ARGUMENT...

The test has to fail (should_fail), and no other failure may pass for this one.
"""
import subprocess
import sys

walk, sentence, *arguments = sys.argv[1:]
run = subprocess.run([walk, *arguments], stderr=subprocess.PIPE, errors='replace')
print(run.stderr)
sys.exit(run.returncode == 1 and sentence in run.stderr)
