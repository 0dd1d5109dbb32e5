/* A whole network on encrypted images, layer by layer; and the layer that only composed steps make possible. */
#include <math.h>
#include <stdio.h>

#include "tests/he/job_case.h"

/* ResNet-20: all 22 layers, each against the plain convolution. How well the model does is for the bench, on a quiet
 * machine; here it must not be off by a factor. */
Test(he_network_long, resnet20_in_whole)
{
    evaluation x;
    cr_assert_eq(evaluate(&x, "he_network", "network=resnet20 primes=2 evaluate=real"), SKY_OK,
                 "%s", x.e.text);
    cr_assert_eq(number(&x, "layers_run"), 22);
    cr_assert_eq(number(&x, "layers"), 22);
    cr_assert_lt(number(&x, "error_max"), 1e-5);
    const double ratio = number(&x, "model_over_real");
    printf("latency %.2f s, model over measured %.3f, worst layer off by %.3f\n",
           number(&x, "latency_s"), ratio, number(&x, "model_worst_error"));
    cr_assert(ratio > 0.4 && ratio < 2.5, "%g", ratio);
    close_evaluation(&x);
}

/* 512 channels at 4 x 4 pixels, 4,607 rotations with 17 keys, in less than 100 MiB. */
Test(he_network_long, input_rotation_of_512_channels)
{
    evaluation x;
    cr_assert_eq(evaluate(&x, "he_conv",
                          "channels_in=512 channels_out=512 size=4 log_n=14 primes=2 "
                          "packing=input_rotation memory_mib=100 evaluate=real"),
                 SKY_OK, "%s", x.e.text);
    cr_assert_eq(number(&x, "composed"), 1);
    cr_assert_eq(number(&x, "rotations"), 4607);
    cr_assert_lt(number(&x, "error_max"), 1e-4);
    close_evaluation(&x);
}
