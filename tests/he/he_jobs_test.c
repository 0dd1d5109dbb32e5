/* The jobs he_conv and he_network as Skyline sees them: parameters in, metrics out. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/he/job_case.h"

Test(he_jobs, counts_of_a_layer)
{
    evaluation x;
    cr_assert_eq(evaluate(&x, "he_conv",
                          "channels_in=64 channels_out=64 size=32 log_n=14 packing=add_first "
                          "evaluate=count"),
                 SKY_OK, "%s", x.e.text);
    cr_assert_eq(number(&x, "rotations"), 8 * 8 + 8 * 7);
    cr_assert_eq(number(&x, "rotations_hoisted"), 8 * 8);
    cr_assert_eq(number(&x, "products"), 8 * 8 * 8 * 9);
    cr_assert_eq(number(&x, "galois_keys"), 8 + 7);
    cr_assert_eq(number(&x, "key_bytes"), 15 * (2.0 * 2 * 3 * 16384 * 8)); /* 2 digits, 3 primes */
    cr_assert_eq(number(&x, "depth"), 1);
    cr_assert_eq(number(&x, "security_bits"), 192);
    cr_assert_eq(number(&x, "log2_qp"), 140);
    cr_assert(metric(&x, "latency_s").absent && metric(&x, "latency_model_s").absent);
    close_evaluation(&x);
    /* Without hoisting every rotation is a full one. */
    cr_assert_eq(evaluate(&x, "he_conv", "hoisting=none evaluate=count"), SKY_OK);
    cr_assert_eq(number(&x, "rotations_hoisted"), 0);
    cr_assert_eq(number(&x, "rotations_full"), number(&x, "rotations"));
    close_evaluation(&x);
}

Test(he_jobs, pruning_halves_the_rotations_of_its_groups)
{
    evaluation x;
    cr_assert_eq(evaluate(&x, "he_conv",
                          "channels_in=64 channels_out=64 size=16 log_n=14 packing=add_first "
                          "evaluate=count prune=diagonal keep=0.5"),
                 SKY_OK, "%s", x.e.text);
    cr_assert_eq(number(&x, "rotations_unpruned"), 2 * 8 + 2 * 31);
    cr_assert_eq(number(&x, "rotations"), 2 * 8 + 31);
    cr_assert_eq(number(&x, "weights_kept"), 64 * 64 * 9 * (1 - 31 / 64.0));
    cr_assert_gt(number(&x, "energy_kept"), 1 - 31 / 64.0); /* the lightest went */
    close_evaluation(&x);
}

Test(he_jobs, a_real_layer)
{
    evaluation x;
    cr_assert_eq(
        evaluate(&x, "he_conv",
                 "channels_in=2 channels_out=2 size=8 log_n=11 insecure=true evaluate=real "
                 "prune=diagonal keep=0.5"),
        SKY_OK, "%s", x.e.text);
    cr_assert_gt(number(&x, "latency_s"), 0);
    cr_assert_gt(number(&x, "latency_model_s"), 0);
    cr_assert_leq(number(&x, "encode_s"), number(&x, "latency_s"));
    cr_assert_gt(number(&x, "precision_bits"), 15);
    cr_assert_float_eq(number(&x, "precision_bits"), -log2(number(&x, "error_max")), 1e-12);
    cr_assert_eq(number(&x, "security_bits"), 0); /* marked */
    close_evaluation(&x);
}

/* Contexts and calibrations outlive a point, and are given up for the next parameters. */
Test(he_jobs, real_and_modelled_layers_in_turn)
{
    static const char *const settings[] = {
        "evaluate=real",
        "evaluate=model",
        "evaluate=real hoisting=none runs=1",
        "evaluate=model primes=3",
    };
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        evaluation x;
        char text[128];
        snprintf(text, sizeof text, "channels_in=2 channels_out=2 size=8 log_n=11 insecure=true %s",
                 settings[k]);
        cr_assert_eq(evaluate(&x, "he_conv", text), SKY_OK, "%s: %s", text, x.e.text);
        cr_assert_gt(number(&x, "latency_model_s"), 0, "%s", text);
        const bool real = strstr(text, "real") != NULL;
        cr_assert_eq(metric(&x, "latency_s").absent, !real, "%s", text);
        cr_assert(!real || number(&x, "latency_s") > 0, "%s", text);
        close_evaluation(&x);
    }
}

Test(he_jobs, resnet18_in_whole)
{
    evaluation x;
    cr_assert_eq(evaluate(&x, "he_network",
                          "network=resnet18_cifar packing=add_first log_n=14 evaluate=count"),
                 SKY_OK, "%s", x.e.text);
    /* 5,227 rotations of 20 convolutions (docs/papers/artemis.md), and the classifier: 16 diagonals as 4 and
     * 4, 5 sums. */
    cr_assert_eq(number(&x, "rotations"), 5227 + 3 + 3 + 5);
    cr_assert_eq(number(&x, "products"), 91200 + 16);
    cr_assert_eq(number(&x, "layers"), 21);
    cr_assert_lt(number(&x, "memory_bytes"), 4.0 * (1 << 30));
    close_evaluation(&x);
    cr_assert_eq(
        evaluate(&x, "he_network", "network=resnet18_cifar packing=hybrid log_n=14 evaluate=count"),
        SKY_OK, "%s", x.e.text);
    cr_assert_eq(number(&x, "rotations"), 2411 + 3 + 3 + 5);
    cr_assert_lt(number(&x, "memory_bytes"), 1.0 * (1 << 30));
    close_evaluation(&x);
}

Test(he_jobs, details_have_a_line_for_each_layer)
{
    evaluation x;
    cr_assert_eq(evaluate(&x, "he_network", "evaluate=count prune=giant keep=0.5"), SKY_OK, "%s",
                 x.e.text);
    sky_buf csv = {0};
    cr_assert_eq(x.job->details(&x.ctx, x.params, &csv, &x.e), SKY_OK, "%s", x.e.text);
    int lines = 0;
    for (const char *at = sky_buf_str(&csv); (at = strchr(at, '\n')); at++)
        lines++;
    cr_assert_eq(lines, 1 + (int)number(&x, "layers"));
    cr_assert_lt(number(&x, "rotations"), number(&x, "rotations_unpruned"));
    sky_buf_free(&csv);
    close_evaluation(&x);
}

static void check_refused(const char *job, const char *text, const char *why)
{
    evaluation x;
    cr_assert_neq(evaluate(&x, job, text), SKY_OK, "%s", text);
    cr_assert(strstr(x.e.text, why), "'%s' lacks '%s'", x.e.text, why);
    close_evaluation(&x);
}

Test(he_jobs, wrong_parameters_are_named)
{
    check_refused("he_conv", "primes=9", "insecure parameters");
    check_refused("he_conv", "log_n=11", "insecure parameters");
    check_refused("he_conv", "primes=1", "level exhausted");
    check_refused("he_conv", "packing=multiplexed log_n=15", "level exhausted");
    check_refused("he_conv", "size=128", "larger log_n");
    check_refused("he_conv", "packing=toeplitz prune=positional", "no taps");
    check_refused("he_conv", "packing=add_first split=2", "fixed");
    check_refused("he_conv", "packing=halevi_shoup", "fully connected");
    check_refused("he_network", "network=resnet21", "did you mean");
    check_refused("he_network", "network=resnet18", "conv1");
    check_refused("he_network", "network=mobilenet_v2", "groups");
    check_refused("he_network", "network=gpt2_small", "two activations");
    check_refused("he_network", "evaluate=real real_layers=conv7", "no such layer");
}

/* Every layer of ResNet-18 in every packing fits in the default 4 GiB; input rotation of 512 channels, which
 * would need 4,607 keys, because its steps are composed. */
Test(he_jobs, every_packing_of_resnet18_in_4_gib)
{
    /* multiplexed is not among them: 64 channels of 32 x 32 would need 65,536 slots. */
    const char *packings[] = {
        "siso", "input_rotation", "output_rotation", "add_first", "hybrid", "toeplitz", "best"};
    for (size_t k = 0; k < sizeof packings / sizeof *packings; k++) {
        evaluation x;
        char text[160];
        snprintf(text, sizeof text, "network=resnet18_cifar packing=%s log_n=15 evaluate=count",
                 packings[k]);
        cr_assert_eq(evaluate(&x, "he_network", text), SKY_OK, "%s: %s", text, x.e.text);
        cr_assert_leq(number(&x, "memory_bytes"), 4.0 * (1 << 30), "%s: %g", text,
                      number(&x, "memory_bytes"));
        cr_assert_eq(number(&x, "layers_composed") > 0, strcmp(packings[k], "input_rotation") == 0,
                     "%s", text);
        close_evaluation(&x);
    }
}

#define LARGEST "channels_in=512 channels_out=512 size=4 log_n=14 primes=2 evaluate=count "

Test(he_jobs, memory_of_the_largest_layer)
{
    evaluation x;
    cr_assert_eq(evaluate(&x, "he_conv", LARGEST "packing=add_first"), SKY_OK, "%s", x.e.text);
    cr_assert_eq(number(&x, "galois_keys"), 519);
    cr_assert_eq(number(&x, "composed"), 0);
    cr_assert_lt(number(&x, "memory_bytes"), 1.0 * (1 << 30));
    close_evaluation(&x);
    /* As many rotations, but with 9 keys for channels and 8 for taps. */
    cr_assert_eq(evaluate(&x, "he_conv", LARGEST "packing=input_rotation"), SKY_OK, "%s", x.e.text);
    cr_assert_eq(number(&x, "composed"), 1);
    cr_assert_eq(number(&x, "rotations"), 512 * 9 - 1);
    cr_assert_eq(number(&x, "rotations_full"), 511);
    cr_assert_eq(number(&x, "galois_keys"), 9 + 8);
    close_evaluation(&x);
    /* With room for all keys they are not composed. */
    cr_assert_eq(evaluate(&x, "he_conv", LARGEST "packing=input_rotation memory_mib=16384"),
                 SKY_OK);
    cr_assert_eq(number(&x, "composed"), 0);
    cr_assert_eq(number(&x, "galois_keys"), 512 * 9 - 1);
    cr_assert_gt(number(&x, "memory_bytes"), 6.0 * (1 << 30));
    close_evaluation(&x);
    check_refused("he_conv", LARGEST "packing=add_first memory_mib=10", "memory_mib allows 10");
}

Test(he_jobs, layers_of_a_network_for_real)
{
    evaluation x;
    cr_assert_eq(evaluate(&x, "he_network",
                          "log_n=13 primes=2 packing=add_first evaluate=real "
                          "real_layers=conv1,fc"),
                 SKY_OK, "%s", x.e.text);
    cr_assert_eq(number(&x, "layers_run"), 2);
    cr_assert_gt(number(&x, "latency_s"), 0);
    cr_assert_gt(number(&x, "latency_model_s"), number(&x, "latency_s"));
    const double ratio = number(&x, "model_over_real");
    cr_assert(ratio > 0.1 && ratio < 10, "%g", ratio); /* seconds, not milliseconds */
    cr_assert_leq(fabs(ratio - 1), number(&x, "model_worst_error") + 1e-9);
    cr_assert_lt(number(&x, "error_max"), 1e-4);
    close_evaluation(&x);
}
