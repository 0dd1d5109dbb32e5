#!/usr/bin/env python3
"""Trains a logistic regression by stochastic gradient descent on synthetic data; standard library only.

An example of a program under Skyline: parameters arrive as --name=value (or as JSON in SKYLINE_PARAMS),
the seed in SKYLINE_SEED, and the last line of standard output is the metrics as a JSON object. Whatever
else it prints is ignored; what it writes to standard error is kept where a trial fails.
"""
import argparse
import json
import math
import os
import random
import time

FEATURES, TRAIN, TEST = 16, 1024, 512


def sigmoid(z):
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))


def dot(w, x):
    return sum(a * b for a, b in zip(w, x))


def make_data(rng, truth, n):
    """Samples whose label is 1 with the probability that the true weights give."""
    samples = []
    for _ in range(n):
        x = [rng.gauss(0, 1) for _ in range(FEATURES - 1)] + [1.0]
        samples.append((x, 1.0 if rng.random() < sigmoid(dot(truth, x)) else 0.0))
    return samples


def train(rng, samples, args):
    """Momentum SGD on the mean logistic loss of each batch."""
    weights, velocity = [0.0] * FEATURES, [0.0] * FEATURES
    for _ in range(args.epochs):
        rng.shuffle(samples)
        for start in range(0, len(samples), args.batch):
            batch = samples[start:start + args.batch]
            gradient = [0.0] * FEATURES
            for x, label in batch:
                error = sigmoid(dot(weights, x)) - label
                for i in range(FEATURES):
                    gradient[i] += error * x[i]
            for i in range(FEATURES):
                velocity[i] = args.momentum * velocity[i] - args.rate * gradient[i] / len(batch)
                weights[i] += velocity[i]
    return weights


def evaluate(weights, samples):
    loss, right = 0.0, 0
    for x, label in samples:
        z = dot(weights, x)
        # log(1 + exp(-z)) for label 1, log(1 + exp(z)) for label 0, without overflow
        margin = z if label else -z
        loss += max(0.0, -margin) + math.log1p(math.exp(-abs(margin)))
        right += (z > 0) == (label > 0.5)
    return loss / len(samples), right / len(samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()

    data_rng = random.Random(1)  # the same data for every trial
    truth = [data_rng.gauss(0, 1) for _ in range(FEATURES)]
    data = make_data(data_rng, truth, TRAIN + TEST)
    rng = random.Random(int(os.environ.get("SKYLINE_SEED", "0")))  # the order of the samples
    started = time.process_time()
    weights = train(rng, data[:TRAIN], args)
    seconds = time.process_time() - started
    loss, accuracy = evaluate(weights, data[TRAIN:])
    print(json.dumps({"loss": loss, "accuracy": accuracy, "seconds": seconds}))


if __name__ == "__main__":
    main()
