/* The builders of the built-in networks; hw/zoo.c lists them. Only for the hw/zoo_ files. */
#ifndef SKY_HW_ZOO_H
#define SKY_HW_ZOO_H

#include "hw/network.h"

void sky__zoo_alexnet(sky_network_builder *b);
void sky__zoo_bert_base(sky_network_builder *b);
void sky__zoo_googlenet(sky_network_builder *b);
void sky__zoo_gpt2_small(sky_network_builder *b);
void sky__zoo_inception_v3(sky_network_builder *b);
void sky__zoo_inception_v4(sky_network_builder *b);
void sky__zoo_mobilenet_v1(sky_network_builder *b);
void sky__zoo_mobilenet_v2(sky_network_builder *b);
void sky__zoo_resnet18(sky_network_builder *b);
void sky__zoo_resnet18_cifar(sky_network_builder *b);
void sky__zoo_resnet20(sky_network_builder *b);
void sky__zoo_resnet32(sky_network_builder *b);
void sky__zoo_resnet34(sky_network_builder *b);
void sky__zoo_resnet50(sky_network_builder *b);
void sky__zoo_resnet101(sky_network_builder *b);
void sky__zoo_resnet152(sky_network_builder *b);
void sky__zoo_transformer_encoder(sky_network_builder *b);
void sky__zoo_vgg11(sky_network_builder *b);
void sky__zoo_vgg13(sky_network_builder *b);
void sky__zoo_vgg16(sky_network_builder *b);

/* A layer's name in the builder's arena; "" when out of memory, which the next layer reports. */
const char *sky__zoo_name(sky_network_builder *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
