/* Transformers. A sequence of h tokens with c features is a tensor c x h x 1; a fully connected layer on each
 * token is a 1 x 1 convolution, and attention two products of activations per head: scores (queries by
 * keys) and their sum over values. Causal masks save nothing here: all scores are computed. */
#include "hw/zoo.h"

typedef struct block {
    int32_t d, heads,
        ff; /* features of a token, and between the two layers of the feed-forward part */
    const char *name;
} block;

/* A fully connected layer on every token. */
static int32_t dense(sky_network_builder *b, const block *k, const char *name, int32_t in,
                     int32_t out)
{
    return sky_net_conv(b, sky__zoo_name(b, "%s.%s", k->name, name), in,
                        (sky_conv_options){.out = out, .kernel = 1, .bias = true});
}

static int32_t activation(sky_network_builder *b, const block *k, const char *name, int32_t in)
{
    return sky_net_layer(b, &(sky_layer){.name = sky__zoo_name(b, "%s.%s", k->name, name),
                                         .kind = SKY_LAYER_ACTIVATION,
                                         .n_inputs = 1,
                                         .input = {in}});
}

static int32_t attend(sky_network_builder *b, const block *k, int32_t q, int32_t key, int32_t v)
{
    int32_t x = sky_net_matmul(b, sky__zoo_name(b, "%s.scores", k->name), q, key, k->heads, true);
    x = activation(b, k, "softmax", x);
    return sky_net_matmul(b, sky__zoo_name(b, "%s.values", k->name), x, v, k->heads, false);
}

static int32_t add(sky_network_builder *b, const block *k, const char *name, int32_t x, int32_t y)
{
    return sky_net_add(b, sky__zoo_name(b, "%s.%s", k->name, name), x, y);
}

/* --- encoders: norms after the additions --- */

static int32_t add_encoder(sky_network_builder *b, block k, int32_t x)
{
    int32_t q = dense(b, &k, "query", x, k.d), key = dense(b, &k, "key", x, k.d);
    int32_t v = dense(b, &k, "value", x, k.d);
    int32_t y = dense(b, &k, "out", attend(b, &k, q, key, v), k.d);
    x = sky_net_norm(b, add(b, &k, "add1", x, y));
    y = activation(b, &k, "activation", dense(b, &k, "ff1", x, k.ff));
    y = dense(b, &k, "ff2", y, k.d);
    return sky_net_norm(b, add(b, &k, "add2", x, y));
}

/* One block of the base model's encoder on 512 tokens (Vaswani et al., "Attention is all you need",
 * NeurIPS 2017, table 3). Its input stands for the blocks before it. */
void sky__zoo_transformer_encoder(sky_network_builder *b)
{
    int32_t x = sky_net_stand_in(b, "input", (sky_shape){.c = 512, .h = 512, .w = 1});
    add_encoder(b, (block){.d = 512, .heads = 8, .ff = 2048, .name = "block"}, x);
}

static int32_t tensor(sky_network_builder *b, const char *name, sky_shape shape, int32_t table_rows)
{
    return sky_net_layer(
        b, &(sky_layer){
               .name = name, .kind = SKY_LAYER_TENSOR, .table_rows = table_rows, .out = shape});
}

/* Devlin et al., "BERT", NAACL 2019: base, on 128 tokens, with the pooler and without a task's head. */
void sky__zoo_bert_base(sky_network_builder *b)
{
    enum { D = 768, TOKENS = 128, WORDS = 30522, POSITIONS = 512 };
    int32_t x = sky_net_input(b, (sky_shape){.c = 1, .h = TOKENS, .w = 1});
    int32_t types = sky_net_embed(b, "embeddings.type", x, 2, D);
    x = sky_net_embed(b, "embeddings.word", x, WORDS, D);
    x = sky_net_add(b, "embeddings.add1", x, types);
    x = sky_net_add(b, "embeddings.add2", x,
                    tensor(b, "embeddings.position", (sky_shape){D, TOKENS, 1}, POSITIONS));
    x = sky_net_norm(b, x);
    for (int32_t i = 0; i < 12; i++) {
        const block k = {.d = D, .heads = 12, .ff = 3072, .name = sky__zoo_name(b, "layer%d", i)};
        x = add_encoder(b, k, x);
    }
    x = sky_net_layer(b, &(sky_layer){.name = "first",
                                      .kind = SKY_LAYER_SLICE,
                                      .n_inputs = 1,
                                      .input = {x},
                                      .axis = SKY_AXIS_H,
                                      .out = {.h = 1}});
    sky_net_relu(b, sky_net_linear(b, "pooler", x, D)); /* tanh in fact: as many values */
}

/* --- decoders: norms before --- */

static int32_t add_decoder(sky_network_builder *b, block k, int32_t x)
{
    int32_t qkv = dense(b, &k, "attn.c_attn", sky_net_norm(b, x), 3 * k.d);
    int32_t q = sky_net_slice(b, sky__zoo_name(b, "%s.q", k.name), qkv, k.d);
    int32_t key = sky_net_slice(b, sky__zoo_name(b, "%s.k", k.name), qkv, k.d);
    int32_t v = sky_net_slice(b, sky__zoo_name(b, "%s.v", k.name), qkv, k.d);
    int32_t y = dense(b, &k, "attn.c_proj", attend(b, &k, q, key, v), k.d);
    x = add(b, &k, "add1", x, y);
    y = activation(b, &k, "mlp.act", dense(b, &k, "mlp.c_fc", sky_net_norm(b, x), k.ff));
    return add(b, &k, "add2", x, dense(b, &k, "mlp.c_proj", y, k.d));
}

/* Radford et al., "Language models are unsupervised multitask learners", 2019: the smallest GPT-2, on its
 * whole context of 1024 tokens. The output layer shares the table of the embedding. */
void sky__zoo_gpt2_small(sky_network_builder *b)
{
    enum { D = 768, TOKENS = 1024, WORDS = 50257 };
    int32_t x = sky_net_input(b, (sky_shape){.c = 1, .h = TOKENS, .w = 1});
    x = sky_net_embed(b, "wte", x, WORDS, D);
    x = sky_net_add(b, "embed", x, tensor(b, "wpe", (sky_shape){D, TOKENS, 1}, TOKENS));
    for (int32_t i = 0; i < 12; i++) {
        const block k = {.d = D, .heads = 12, .ff = 4 * D, .name = sky__zoo_name(b, "h%d", i)};
        x = add_decoder(b, k, x);
    }
    x = sky_net_norm(b, x);
    sky_net_layer(b, &(sky_layer){.name = "lm_head",
                                  .kind = SKY_LAYER_CONV,
                                  .n_inputs = 1,
                                  .input = {x},
                                  .window = {.kernel_h = 1,
                                             .kernel_w = 1,
                                             .stride_h = 1,
                                             .stride_w = 1,
                                             .dilation_h = 1,
                                             .dilation_w = 1},
                                  .groups = 1,
                                  .tied = true,
                                  .fixed = true,
                                  .out = {.c = WORDS}});
}
