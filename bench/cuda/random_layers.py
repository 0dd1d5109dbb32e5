#!/usr/bin/env python3
"""Shapes that no network has, for layers_unseen.csv: `random_layers.py >>layers_unseen.csv`.

Odd edges, odd channels, any batch, strides up to 3: where a model that only fits networks would fail.
Between 0.2 and 40 G multiply-adds, so that a GPU is busy and a profiler soon done.
"""
import random

rng = random.Random(1904)
made = 0
while made < 40:
    kernel = rng.choice([1, 1, 2, 3, 3, 3, 4, 5, 7])
    edge, stride, pad = rng.randint(5, 120), rng.choice([1, 1, 1, 2, 2, 3]), rng.randint(0, kernel // 2)
    ci, co, batch = int(2 ** rng.uniform(0, 9.5)), int(2 ** rng.uniform(3, 10)), int(2 ** rng.uniform(3, 8.5))
    out = (edge + 2 * pad - kernel) // stride + 1
    if out < 3 or stride > kernel or not 0.2e9 < batch * out * out * ci * co * kernel * kernel < 40e9:
        continue
    made += 1
    print(f"random,r{made},{batch},{ci},{edge},{edge},{co},{kernel},{kernel},{stride},{pad}")
