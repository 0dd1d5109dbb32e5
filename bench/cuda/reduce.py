#!/usr/bin/env python3
"""Joins the layers and what Nsight Compute read of them into the table in hw/data/.

    reduce.py LAYERS.csv NCU_RAW.csv > hw/data/conv_traffic_GPU.csv

Bytes: L1 = sectors requested x 32 (l1tex__t_sectors_pipe_lsu_mem_global_op_ld) and requests x 128;
L2 = sectors read by the L1s x 32 (lts__t_sectors_srcunit_tex_op_read); DRAM = dram__bytes_*.
"""
import csv
import sys

COLUMNS = [
    ("l1_request_bytes", "l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum", 128),
    ("l1_sector_bytes", "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum", 32),
    ("l2_read_bytes", "lts__t_sectors_srcunit_tex_op_read.sum", 32),
    ("l2_write_bytes", "lts__t_sectors_srcunit_tex_op_write.sum", 32),
    ("dram_read_bytes", "dram__bytes_read.sum", 1),
    ("dram_write_bytes", "dram__bytes_write.sum", 1),
    ("time_ns", "gpu__time_duration.sum", 1),
    ("sm_cycles", "sm__cycles_elapsed.max", 1),
]


def main():
    layers = list(csv.DictReader(open(sys.argv[1])))
    lines = open(sys.argv[2]).read().split("\n")
    header = next(i for i, line in enumerate(lines) if line.startswith('"ID"'))
    measured = [row for row in csv.DictReader(lines[header:]) if row["ID"]]
    if len(layers) != len(measured):
        sys.exit(f"{len(layers)} layers, {len(measured)} kernels")
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(list(layers[0]) + ["blk_m", "blk_n", "blk_k", "ctas_per_sm"] + [c[0] for c in COLUMNS])
    for layer, row in zip(layers, measured):
        tile = row["Kernel Name"].split("<")[1].split(",")[:3]
        ctas = min(int(row["launch__occupancy_limit_" + r].replace(",", ""))
                   for r in ("registers", "shared_mem", "warps", "blocks"))
        values = [int(float(row[name].replace(",", "")) * scale) for _, name, scale in COLUMNS]
        out.writerow(list(layer.values()) + [t.strip() for t in tile] + [ctas] + values)


if __name__ == "__main__":
    main()
