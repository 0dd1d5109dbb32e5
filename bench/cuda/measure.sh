#!/bin/sh
# Builds, checks, measures and reduces: one table of what convolutions move on this machine's GPU.
#
#     bench/cuda/measure.sh LAYERS.csv TABLE.csv
#
# Needs an NVIDIA GPU, nvcc and Nsight Compute (ncu) with access to the counters, and Python 3.
set -eu
if [ $# -ne 2 ]; then
    echo "usage: $0 LAYERS.csv TABLE.csv" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nvcc -O3 -arch=native -o "$work/conv_traffic" "$here/conv_traffic.cu"
"$work/conv_traffic" "$1" --check >"$work/check" # fails if a layer is wrong
echo "$(grep -c ',right$' "$work/check") layers right" >&2

# The clocks stay as they are; caches are flushed before each kernel (the profiler's default).
l1=l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum,l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum
l2=lts__t_sectors_srcunit_tex_op_read.sum,lts__t_sectors_srcunit_tex_op_write.sum
dram=dram__bytes_read.sum,dram__bytes_write.sum
time=gpu__time_duration.sum,sm__cycles_elapsed.max
limits=$(for what in registers shared_mem warps blocks; do printf ',launch__occupancy_limit_%s' $what; done)
ncu --clock-control none -k regex:conv_implicit --csv --page raw --print-units base \
    --metrics "$l1,$l2,$dram,$time$limits" "$work/conv_traffic" "$1" >"$work/ncu.csv"
"$here/reduce.py" "$1" "$work/ncu.csv" >"$work/table.csv"
mv "$work/table.csv" "$2"
{ nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv,noheader; ncu --version | tail -1
  nvcc --version | tail -2 | head -1; } >&2
