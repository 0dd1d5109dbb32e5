/* Implicit-GEMM convolution in CUDA, with the tiles that the DeLTA model assumes, as the object of its
 * traffic measurements: what this kernel moves at L1, L2 and DRAM is read with Nsight Compute and kept in
 * hw/data/, so that the model's error can be computed on machines without a GPU.
 *
 *     conv_traffic LAYERS.csv [--check]
 *
 * LAYERS.csv: network,layer,batch,channels_in,height,width,channels_out,kernel_h,kernel_w,stride,pad
 * Without --check each layer is run once after one warm-up (profile the launches whose kernel name begins
 * with conv_; the warm-up uses another kernel). With --check 4,096 outputs of each layer are compared with
 * direct sums in double.
 *
 * The GEMM (Lym et al., ISPASS 2019, section III): M = B*Ho*Wo output pixels, N = Co, K = Ci*Hf*Wf. A CTA
 * computes blkM x blkN outputs in ceil(K/blkK) steps; a warp gathers 32 consecutive output pixels for one
 * k, so that its requests are consecutive along the image's rows; the filter is stored (Co, Ci*Hf*Wf) and
 * a CTA reads blkK consecutive values of each of its blkN filters. Data is FP32, images are NCHW. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cmath>
#include <cuda_runtime.h>

struct layer {
    char network[32], name[48];
    int batch, ci, h, w, co, r, s, stride, pad;
    int ho() const { return (h + 2 * pad - r) / stride + 1; }
    int wo() const { return (w + 2 * pad - s) / stride + 1; }
};

#define CUDA_MUST(call)                                                                                \
    do {                                                                                               \
        cudaError_t err_ = (call);                                                                     \
        if (err_ != cudaSuccess) {                                                                     \
            fprintf(stderr, "conv_traffic: %s: %s\n", #call, cudaGetErrorString(err_));                \
            exit(1);                                                                                   \
        }                                                                                              \
    } while (0)

/* One CTA: BM x BN outputs, each thread TM x TN of them. x (B,Ci,H,W), f (Co,Ci*R*S), y (B,Co,Ho,Wo).
 * CTAs are numbered so that consecutive ones share a column of the output (the same filters), the
 * column-wise order that the model assumes. */
template <int BM, int BN, int BK, int TM, int TN>
__global__ void __launch_bounds__((BM / TM) * (BN / TN))
conv_implicit_gemm(const float *__restrict__ x, const float *__restrict__ f, float *__restrict__ y,
                   layer l, int ho, int wo)
{
    constexpr int threads = (BM / TM) * (BN / TN);
    constexpr int a_each = BM * BK / threads;
    constexpr int b_each = (BN * BK + threads - 1) / threads;
    __shared__ float a_tile[2][BK][BM];
    __shared__ float b_tile[2][BK][BN + 1];

    const int m_total = l.batch * ho * wo, n_total = l.co, k_total = l.ci * l.r * l.s;
    const int m0 = blockIdx.x * BM, n0 = blockIdx.y * BN;
    const int tid = threadIdx.x;

    /* Each thread gathers one column m of the A tile: its pixel does not change over the main loop. */
    const int am = tid % BM;
    const int m = m0 + am;
    const bool m_inside = m < m_total;
    const int image = m_inside ? m / (ho * wo) : 0;
    const int pixel = m_inside ? m % (ho * wo) : 0;
    const int y_in = pixel / wo * l.stride - l.pad, x_in = pixel % wo * l.stride - l.pad;
    const float *x_image = x + (size_t)image * l.ci * l.h * l.w;

    float a_reg[a_each], b_reg[b_each], acc[TM][TN] = {};
    auto load = [&](int k0) {
#pragma unroll
        for (int i = 0; i < a_each; i++) {
            const int k = k0 + tid / BM + i * (threads / BM);
            float v = 0;
            if (m_inside && k < k_total) {
                const int c = k / (l.r * l.s), tap = k % (l.r * l.s);
                const int row = y_in + tap / l.s, col = x_in + tap % l.s;
                if (row >= 0 && row < l.h && col >= 0 && col < l.w)
                    v = __ldg(x_image + ((size_t)c * l.h + row) * l.w + col);
            }
            a_reg[i] = v;
        }
#pragma unroll
        for (int i = 0; i < b_each; i++) {
            const int at = tid + i * threads, n = n0 + at / BK, k = k0 + at % BK;
            b_reg[i] = at < BN * BK && n < n_total && k < k_total ? __ldg(f + (size_t)n * k_total + k) : 0;
        }
    };
    auto store = [&](int buffer) {
#pragma unroll
        for (int i = 0; i < a_each; i++)
            a_tile[buffer][tid / BM + i * (threads / BM)][am] = a_reg[i];
#pragma unroll
        for (int i = 0; i < b_each; i++) {
            const int at = tid + i * threads;
            if (at < BN * BK)
                b_tile[buffer][at % BK][at / BK] = b_reg[i];
        }
    };

    const int tm = tid % (BM / TM), tn = tid / (BM / TM);
    load(0);
    store(0);
    __syncthreads();
    int buffer = 0;
    for (int k0 = 0; k0 < k_total; k0 += BK) {
        const bool more = k0 + BK < k_total;
        if (more)
            load(k0 + BK);
#pragma unroll
        for (int k = 0; k < BK; k++) {
            float a[TM], b[TN];
#pragma unroll
            for (int i = 0; i < TM; i++)
                a[i] = a_tile[buffer][k][tm + i * (BM / TM)];
#pragma unroll
            for (int j = 0; j < TN; j++)
                b[j] = b_tile[buffer][k][tn + j * (BN / TN)];
#pragma unroll
            for (int i = 0; i < TM; i++)
#pragma unroll
                for (int j = 0; j < TN; j++)
                    acc[i][j] += a[i] * b[j];
        }
        if (more) {
            store(buffer ^ 1);
            __syncthreads();
            buffer ^= 1;
        }
    }
#pragma unroll
    for (int i = 0; i < TM; i++) {
        const int mo = m0 + tm + i * (BM / TM);
        if (mo >= m_total)
            continue;
        const size_t base = (size_t)(mo / (ho * wo)) * n_total * ho * wo + mo % (ho * wo);
#pragma unroll
        for (int j = 0; j < TN; j++) {
            const int n = n0 + tn + j * (BN / TN);
            if (n < n_total)
                y[base + (size_t)n * ho * wo] = acc[i][j];
        }
    }
}

__global__ void fill(float *p, size_t n, unsigned seed)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
        unsigned long long z = (i + 1) * 0x9E3779B97F4A7C15ull + seed;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        p[i] = (float)(int)(z >> 40) / (1 << 24) - 0.5f;
    }
}

/* The oracle: direct sums in double of a sample of outputs; gives the largest difference. */
__global__ void check_outputs(const float *x, const float *f, const float *y, layer l, int ho, int wo,
                              size_t outputs, int samples, float *worst)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= samples)
        return;
    const size_t at = (size_t)((double)i / samples * outputs);
    const int ow = at % wo, oh = at / wo % ho, n = at / ((size_t)wo * ho) % l.co;
    const size_t image = at / ((size_t)wo * ho * l.co);
    double sum = 0;
    for (int c = 0; c < l.ci; c++)
        for (int r = 0; r < l.r; r++)
            for (int s = 0; s < l.s; s++) {
                const int row = oh * l.stride - l.pad + r, col = ow * l.stride - l.pad + s;
                if (row >= 0 && row < l.h && col >= 0 && col < l.w)
                    sum += (double)x[((image * l.ci + c) * l.h + row) * l.w + col] *
                           f[(((size_t)n * l.ci + c) * l.r + r) * l.s + s];
            }
    const float difference = fabsf((float)(sum - y[at]));
    atomicMax((int *)worst, __float_as_int(difference)); /* non-negative floats order as integers */
}

template <int BM, int BN, int BK, int TM, int TN>
static void launch(const layer &l, const float *x, const float *f, float *y)
{
    const int m = l.batch * l.ho() * l.wo();
    const dim3 grid((m + BM - 1) / BM, (l.co + BN - 1) / BN);
    conv_implicit_gemm<BM, BN, BK, TM, TN><<<grid, (BM / TM) * (BN / TN)>>>(x, f, y, l, l.ho(), l.wo());
}

/* The tile is chosen by the number of output channels, as the model does. */
static const char *run_layer(const layer &l, const float *x, const float *f, float *y)
{
    if (l.co <= 32) {
        launch<128, 32, 4, 8, 4>(l, x, f, y);
        return "128x32x4";
    }
    if (l.co <= 64) {
        launch<128, 64, 4, 8, 8>(l, x, f, y);
        return "128x64x4";
    }
    launch<128, 128, 8, 8, 8>(l, x, f, y);
    return "128x128x8";
}

static bool one(const layer &l, bool check)
{
    const size_t nx = (size_t)l.batch * l.ci * l.h * l.w, nf = (size_t)l.co * l.ci * l.r * l.s;
    const size_t ny = (size_t)l.batch * l.co * l.ho() * l.wo();
    float *x, *f, *y, *worst;
    CUDA_MUST(cudaMalloc(&x, nx * 4));
    CUDA_MUST(cudaMalloc(&f, nf * 4));
    CUDA_MUST(cudaMalloc(&y, ny * 4));
    CUDA_MUST(cudaMalloc(&worst, 4));
    CUDA_MUST(cudaMemset(worst, 0, 4));
    fill<<<1024, 256>>>(x, nx, 1);
    fill<<<1024, 256>>>(f, nf, 2);
    const char *tile = run_layer(l, x, f, y);
    CUDA_MUST(cudaGetLastError());
    CUDA_MUST(cudaDeviceSynchronize());
    float difference = 0;
    const int samples = 4096;
    if (check) {
        check_outputs<<<samples / 128, 128>>>(x, f, y, l, l.ho(), l.wo(), ny, samples, worst);
        CUDA_MUST(cudaMemcpy(&difference, worst, 4, cudaMemcpyDeviceToHost));
    }
    /* Values are uniform in [-1/2, 1/2]: a sum of k products has a deviation of sqrt(k)/12. */
    const float allowed = 1e-5f * sqrtf((float)l.ci * l.r * l.s) + 1e-6f;
    printf("%s,%s,%s%s\n", l.network, l.name, tile, !check ? "" : difference <= allowed ? ",right" : ",WRONG");
    cudaFree(x), cudaFree(f), cudaFree(y), cudaFree(worst);
    return difference <= allowed;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: conv_traffic LAYERS.csv [--check]\n");
        return 2;
    }
    const bool check = argc > 2 && strcmp(argv[2], "--check") == 0;
    FILE *file = fopen(argv[1], "r");
    if (!file) {
        perror(argv[1]);
        return 1;
    }
    char line[512];
    bool right = true;
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        layer l = {};
        if (number == 1 || line[0] == '#')
            continue;
        if (sscanf(line, "%31[^,],%47[^,],%d,%d,%d,%d,%d,%d,%d,%d,%d", l.network, l.name, &l.batch, &l.ci,
                   &l.h, &l.w, &l.co, &l.r, &l.s, &l.stride, &l.pad) != 11) {
            fprintf(stderr, "%s:%d: expected 11 fields\n", argv[1], number);
            return 1;
        }
        right = one(l, check) && right;
    }
    fclose(file);
    return right ? 0 : 1;
}
