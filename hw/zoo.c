/* The table of built-in networks. */
#include "hw/zoo.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct entry {
    const char *name;
    const char *source;
    void (*build)(sky_network_builder *b);
} entry;

static const entry entries[] = {
    /* in alphabetical order */
    {"alexnet", "Krizhevsky, arXiv 1404.5997 (torchvision's)", sky__zoo_alexnet},
    {"bert_base", "Devlin et al., NAACL 2019 (128 tokens)", sky__zoo_bert_base},
    {"googlenet", "Szegedy et al., CVPR 2015", sky__zoo_googlenet},
    {"gpt2_small", "Radford et al., OpenAI 2019 (1024 tokens)", sky__zoo_gpt2_small},
    {"inception_v3", "Szegedy et al., CVPR 2016 (torchvision's)", sky__zoo_inception_v3},
    {"inception_v4", "Szegedy et al., AAAI 2017", sky__zoo_inception_v4},
    {"mobilenet_v1", "Howard et al., arXiv 1704.04861", sky__zoo_mobilenet_v1},
    {"mobilenet_v2", "Sandler et al., CVPR 2018 (torchvision's)", sky__zoo_mobilenet_v2},
    {"resnet101", "He et al., CVPR 2016 (torchvision's)", sky__zoo_resnet101},
    {"resnet152", "He et al., CVPR 2016 (torchvision's)", sky__zoo_resnet152},
    {"resnet18", "He et al., CVPR 2016 (torchvision's)", sky__zoo_resnet18},
    {"resnet18_cifar", "He et al., CVPR 2016, for 32 x 32 images (3 x 3 stem, no pooling)",
     sky__zoo_resnet18_cifar},
    {"resnet20", "He et al., CVPR 2016 (CIFAR, shortcuts of option B)", sky__zoo_resnet20},
    {"resnet32", "He et al., CVPR 2016 (CIFAR, shortcuts of option B)", sky__zoo_resnet32},
    {"resnet34", "He et al., CVPR 2016 (torchvision's)", sky__zoo_resnet34},
    {"resnet50", "He et al., CVPR 2016 (torchvision's)", sky__zoo_resnet50},
    {"transformer_encoder", "Vaswani et al., NeurIPS 2017 (a block of the base model, 512 tokens)",
     sky__zoo_transformer_encoder},
    {"vgg11", "Simonyan, Zisserman, ICLR 2015", sky__zoo_vgg11},
    {"vgg13", "Simonyan, Zisserman, ICLR 2015", sky__zoo_vgg13},
    {"vgg16", "Simonyan, Zisserman, ICLR 2015", sky__zoo_vgg16},
};
enum { N_ENTRIES = sizeof entries / sizeof *entries };

static struct {
    sky_arena arena;
    sky_network network[N_ENTRIES]; /* n_layers is 0 until it is built */
} zoo;

const char *sky__zoo_name(sky_network_builder *b, const char *fmt, ...)
{
    char text[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *name = sky_arena_strdup(b->arena, text);
    return name ? name : "";
}

const sky_network *sky_network_find(const char *name)
{
    for (size_t i = 0; i < N_ENTRIES; i++) {
        if (strcmp(entries[i].name, name) != 0)
            continue;
        sky_network *net = &zoo.network[i];
        if (net->n_layers == 0) {
            sky_network_builder b = {.arena = &zoo.arena};
            entries[i].build(&b);
            if (sky_net_finish(&b, entries[i].name, entries[i].source, net, NULL) != SKY_OK) {
                assert(b.err == SKY_ENOMEM); /* a built-in network is well-formed */
                return NULL;
            }
        }
        return net;
    }
    return NULL;
}

const char *const *sky_network_names(void)
{
    static const char *names[N_ENTRIES + 1];
    for (size_t i = 0; i < N_ENTRIES; i++)
        names[i] = entries[i].name;
    return names;
}
