/* The committed bytes of version 1, tests/golden/he/v1: every kernel version reads them, writes the same
 * bytes, and decrypts and computes with them. Their parameters are far too small to be secure.
 *
 *     he_golden_test DIRECTORY
 *
 * With SKY_GOLDEN_WRITE=1 it writes files that are missing; one that exists is never changed: it is what
 * an older program wrote. */
#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"
#include "he_world.h"

static const sky_he_params tiny = {.log2_n = 6, .n_data = 2, .insecure = true};
static const int32_t steps[] = {1, -3};

enum { PARAMETERS, SECRET, PUBLIC, KEYS, PLAINTEXT, CIPHERTEXT, PRODUCT, EXTENDED, FILES };
/* len and the checksum at the end, so that a file that was written anew is noticed. */
static const struct {
    const char *name;
    size_t len;
    uint64_t checksum;
} files[FILES] = {
    [PARAMETERS] = {"parameters", 56, 0xe1a2126e3094542f},
    [SECRET] = {"secret", 40, 0x68a840225dbf8ce6},
    [PUBLIC] = {"public", 1336, 0x555471d8208cdb20},
    [KEYS] = {"keys", 10416, 0xd725882bf06874cf},
    [PLAINTEXT] = {"plaintext", 872, 0x7d8e2b0477660be7},
    [CIPHERTEXT] = {"ciphertext", 1704, 0x8a3fcbc1d5c01bc1},
    [PRODUCT] = {"product", 2536, 0x447894662343eb4b},
    [EXTENDED] = {"extended", 2600, 0x46def9f13cebfb72},
};

typedef struct golden {
    char *data[FILES];
    size_t len[FILES];
} golden;

/* What the plaintext and the ciphertexts hold: multiples of 1/32, so that encoding them is exact but for
 * its rounding. */
static void fill_known(world *w)
{
    for (uint32_t j = 0; j < w->slots; j++) {
        w->re[j] = (j - 16.0) / 16;
        w->im[j] = (double)(j % 5) / 8 - 0.25;
    }
}

/* ---- Writing what is missing ---- */

static void write_missing(const char *dir, int file, const sky_buf *bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/v1/%s.bin", dir, files[file].name);
    FILE *f = fopen(path, "wbx");
    if (!f)
        return;
    if (fwrite(bytes->data, 1, bytes->len, f) != bytes->len)
        perror(path);
    if (fclose(f))
        perror(path);
}

static void write_all(const char *dir)
{
    world w = world_new(tiny, 2026);
    sky_buf b[FILES] = {0};
    world_keys(&w, 0, steps, 2);
    fill_known(&w);
    sky_he_pt *pt = new_pt(&w, (sky_he_shape){0});
    sky_he_ct *ct = encrypted(&w, 0), *three = new_ct(&w, (sky_he_shape){.three_parts = true});
    sky_he_ct *extended = new_ct(&w, (sky_he_shape){.extended = true});
    MUST(sky_he_encode(w.ev, pt, w.re, w.im, w.slots, (sky_he_encode_options){0}, e));
    MUST(sky_he_mul(w.ev, three, ct, ct, e));
    MUST(sky_he_mod_up(w.ev, extended, ct, e));
    MUST(sky_he_params_write(w.ctx, &b[PARAMETERS]));
    MUST(sky_he_secret_write(w.secret, &b[SECRET]));
    MUST(sky_he_public_write(w.key, &b[PUBLIC]));
    MUST(sky_he_keys_write(w.keys, &b[KEYS]));
    MUST(sky_he_pt_write(pt, &b[PLAINTEXT]));
    MUST(sky_he_ct_write(ct, &b[CIPHERTEXT]));
    MUST(sky_he_ct_write(three, &b[PRODUCT]));
    MUST(sky_he_ct_write(extended, &b[EXTENDED]));
    for (int i = 0; i < FILES; i++) {
        write_missing(dir, i, &b[i]);
        sky_buf_free(&b[i]);
    }
    sky_he_pt_free(pt);
    sky_he_ct *cts[] = {ct, three, extended};
    for (int i = 0; i < 3; i++)
        sky_he_ct_free(cts[i]);
    world_free(&w);
}

static void read_all(golden *g, const char *dir)
{
    for (int i = 0; i < FILES; i++) {
        char path[1024];
        uint64_t checksum = 0;
        snprintf(path, sizeof path, "%s/v1/%s.bin", dir, files[i].name);
        MUST(sky_read_file(path, 1 << 20, &g->data[i], &g->len[i], e));
        for (size_t k = 8; k > 0; k--)
            checksum = checksum << 8 | (uint8_t)g->data[i][g->len[i] - 9 + k];
        CHECK(g->len[i] == files[i].len && checksum == files[i].checksum,
              "%s: %zu bytes with the checksum %#llx", path, g->len[i],
              (unsigned long long)checksum);
    }
}

/* ---- Reading ---- */

/* As file i. Frees what it reads. */
static sky_err read_as(const sky_he_ctx *ctx, int i, const void *data, size_t len, sky_error *e)
{
    sky_he_params p;
    sky_he_secret *secret = NULL;
    sky_he_public *public = NULL;
    sky_he_keys *keys = NULL;
    sky_he_pt *pt = NULL;
    sky_he_ct *ct = NULL;
    sky_err err = i == PARAMETERS  ? sky_he_params_read(&p, data, len, e)
                  : i == SECRET    ? sky_he_secret_read(&secret, ctx, data, len, e)
                  : i == PUBLIC    ? sky_he_public_read(&public, ctx, data, len, e)
                  : i == KEYS      ? sky_he_keys_read(&keys, ctx, data, len, e)
                  : i == PLAINTEXT ? sky_he_pt_read(&pt, ctx, data, len, e)
                                   : sky_he_ct_read(&ct, ctx, data, len, e);
    sky_he_secret_free(secret);
    sky_he_public_free(public);
    sky_he_keys_free(keys);
    sky_he_pt_free(pt);
    sky_he_ct_free(ct);
    return err;
}

typedef struct contents {
    sky_he_pt *pt;
    sky_he_ct *ct, *product, *extended;
} contents;

/* Everything read with these kernels; the world's context is made from the parameters' bytes. */
static void open_golden(world *w, contents *c, const golden *g, const he_kernels *kernels)
{
    sky_he_params p = {0};
    *w = (world){0};
    MUST(sky_he_params_read(&p, g->data[PARAMETERS], g->len[PARAMETERS], e));
    CHECK(p.insecure, "the golden parameters are not marked insecure");
    MUST(he_ctx_new_with(&w->ctx, &p, kernels, e));
    CHECK(sky_he_ctx_info(w->ctx).insecure, "the context is not marked insecure");
    MUST(sky_he_secret_read(&w->secret, w->ctx, g->data[SECRET], g->len[SECRET], e));
    MUST(sky_he_public_read(&w->key, w->ctx, g->data[PUBLIC], g->len[PUBLIC], e));
    MUST(sky_he_keys_read(&w->keys, w->ctx, g->data[KEYS], g->len[KEYS], e));
    MUST(sky_he_pt_read(&c->pt, w->ctx, g->data[PLAINTEXT], g->len[PLAINTEXT], e));
    MUST(sky_he_ct_read(&c->ct, w->ctx, g->data[CIPHERTEXT], g->len[CIPHERTEXT], e));
    MUST(sky_he_ct_read(&c->product, w->ctx, g->data[PRODUCT], g->len[PRODUCT], e));
    MUST(sky_he_ct_read(&c->extended, w->ctx, g->data[EXTENDED], g->len[EXTENDED], e));
    MUST(sky_he_eval_new(&w->ev, w->ctx, e));
    sky_he_eval_set_keys(w->ev, w->keys);
    w->slots = sky_he_ctx_info(w->ctx).slots;
    w->re = he_alloc((size_t)4 * w->slots, sizeof(double));
    w->im = w->re + w->slots;
    w->got_re = w->im + w->slots;
    w->got_im = w->got_re + w->slots;
    fill_known(w);
}

static void close_golden(world *w, contents *c)
{
    sky_he_pt_free(c->pt);
    sky_he_ct_free(c->ct);
    sky_he_ct_free(c->product);
    sky_he_ct_free(c->extended);
    world_free(w);
}

static void same_bytes(const golden *g, int i, sky_err err, sky_buf *b, const char *kernels)
{
    CHECK(!err && b->len == g->len[i] && !memcmp(b->data, g->data[i], b->len),
          "%s: %s writes other bytes", files[i].name, kernels);
    sky_buf_free(b);
}

static void test_written_again(const world *w, const contents *c, const golden *g)
{
    const char *name = w->ctx->k->name;
    sky_buf b = {0};
    same_bytes(g, PARAMETERS, sky_he_params_write(w->ctx, &b), &b, name);
    same_bytes(g, SECRET, sky_he_secret_write(w->secret, &b), &b, name);
    same_bytes(g, PUBLIC, sky_he_public_write(w->key, &b), &b, name);
    same_bytes(g, KEYS, sky_he_keys_write(w->keys, &b), &b, name);
    same_bytes(g, PLAINTEXT, sky_he_pt_write(c->pt, &b), &b, name);
    same_bytes(g, CIPHERTEXT, sky_he_ct_write(c->ct, &b), &b, name);
    same_bytes(g, PRODUCT, sky_he_ct_write(c->product, &b), &b, name);
    same_bytes(g, EXTENDED, sky_he_ct_write(c->extended, &b), &b, name);
}

static void expect(world *w, const sky_he_ct *ct, int32_t step, const char *what)
{
    uint32_t where = 0;
    double limit = bound(w, switch_std(w->ctx, 2) + round_std(w->ctx->n));
    decrypted(w, ct);
    double error = worst(w, step, &where);
    CHECK(error < limit, "%s, %s: %g at slot %u, bound %g", w->ctx->k->name, what, error, where,
          limit);
}

static void test_values(world *w, const contents *c)
{
    uint32_t where = 0;
    sky_he_ct *out = new_ct(w, (sky_he_shape){0});
    MUST(sky_he_decode(w->ev, w->got_re, w->got_im, w->slots, c->pt, e));
    double error = worst(w, 0, &where), limit = bound(w, sqrt(1.0 / 12));
    CHECK(error < limit, "plaintext: %g at slot %u", error, where);
    expect(w, c->ct, 0, "ciphertext");
    MUST(sky_he_mod_down(w->ev, out, c->extended, e));
    expect(w, out, 0, "extended ciphertext");
    for (int i = 0; i < 2; i++) {
        MUST(sky_he_rotate(w->ev, out, c->ct, steps[i], e));
        expect(w, out, steps[i], "rotation");
    }
    sky_he_ct *fresh = encrypted(w, 0); /* with the key that was read */
    expect(w, fresh, 0, "public key");
    MUST(sky_he_conjugate(w->ev, out, c->ct, e));
    for (uint32_t j = 0; j < w->slots; j++)
        w->im[j] = -w->im[j];
    expect(w, out, 0, "conjugation");
    fill_known(w);
    for (uint32_t j = 0; j < w->slots; j++) {
        double re = w->re[j] * w->re[j] - w->im[j] * w->im[j];
        w->im[j] = 2 * w->re[j] * w->im[j];
        w->re[j] = re;
    }
    expect(w, c->product, 0, "product");
    MUST(sky_he_relinearise(w->ev, out, c->product, e));
    expect(w, out, 0, "product, relinearised");
    sky_he_ct_free(out);
    sky_he_ct_free(fresh);
}

/* ---- Damage ---- */

static void seal(char *data, size_t len)
{
    uint64_t hash = sky_hash_bytes(1, data, len - 8);
    for (size_t i = 0; i < 8; i++)
        data[len - 8 + i] = (char)(hash >> 8 * i);
}

/* One change to a copy of file i, with its checksum put right, gives this error and these words. */
static void damaged(const sky_he_ctx *ctx, const golden *g, int i, size_t at, uint8_t value,
                    sky_err want, const char *words)
{
    sky_error e = {0};
    char *copy = malloc(g->len[i]);
    memcpy(copy, g->data[i], g->len[i]);
    copy[at] = (char)value;
    seal(copy, g->len[i]);
    sky_err err = read_as(ctx, i, copy, g->len[i], &e);
    CHECK(err == want && strstr(e.text, words), "%s, byte %zu set to %u: %s (%s)", files[i].name,
          at, value, sky_strerror(err), e.text);
    free(copy);
}

static void test_damage(const sky_he_ctx *ctx, const golden *g)
{
    for (int i = 0; i < FILES; i++) {
        damaged(ctx, g, i, 4, 2, SKY_EVERSION, "of version 2, expected 1");
        damaged(ctx, g, i, 0, 'X', SKY_EFORMAT, "begin with SKHE");
        damaged(ctx, g, i, 6, 77, SKY_EFORMAT, "an unknown kind");
        damaged(ctx, g, i, 6, i == SECRET ? 1 : 4, SKY_EFORMAT,
                i == SECRET ? "found a ciphertext" : "found a secret key");
        damaged(ctx, g, i, 15, (uint8_t)~g->data[i][15], SKY_ECONFLICT,
                sky_he_fault_text(SKY_HE_CONTEXT));
        char *copy = malloc(g->len[i]);
        memcpy(copy, g->data[i], g->len[i]);
        for (size_t at = 0; at < g->len[i]; at++) { /* any bit, the checksum's included */
            sky_error e = {0};
            copy[at] ^= (char)(1 << at % 8);
            CHECK(read_as(ctx, i, copy, g->len[i], &e) != SKY_OK, "%s: byte %zu is not checked",
                  files[i].name, at);
            copy[at] = g->data[i][at];
        }
        for (size_t len = 0; len < g->len[i]; len++)
            CHECK(read_as(ctx, i, copy, len, &(sky_error){0}) == SKY_EFORMAT, "%s cut at %zu",
                  files[i].name, len);
        free(copy);
    }
    /* Parameters: N, L, a special prime shorter than a digit, more bits than are secure. */
    damaged(ctx, g, PARAMETERS, 16, 17, SKY_EINVAL, sky_he_fault_text(SKY_HE_PARAMS));
    damaged(ctx, g, PARAMETERS, 20, 0, SKY_EINVAL, sky_he_fault_text(SKY_HE_PARAMS));
    damaged(ctx, g, PARAMETERS, 40, 45, SKY_EINVAL, sky_he_fault_text(SKY_HE_SPECIAL));
    damaged(ctx, g, PARAMETERS, 44, 0, SKY_EPERM, sky_he_fault_text(SKY_HE_INSECURE));
    damaged(ctx, g, PARAMETERS, 44, 2, SKY_EFORMAT, "expected 0 or 1");
    damaged(ctx, g, PARAMETERS, 20, 3, SKY_ECONFLICT, sky_he_fault_text(SKY_HE_CONTEXT));
    damaged(ctx, g, PLAINTEXT, 20, 2, SKY_EFORMAT, "1 to 1 parts");
    damaged(ctx, g, PLAINTEXT, 31, 0x7f, SKY_ELIMIT, sky_he_fault_text(SKY_HE_SCALE));
}

int main(int argc, char **argv)
{
    golden g = {0};
    if (argc != 2) {
        fputs("usage: he_golden_test DIRECTORY (tests/golden/he)\n", stderr);
        return 2;
    }
    if (getenv("SKY_GOLDEN_WRITE"))
        write_all(argv[1]);
    read_all(&g, argv[1]);
    const he_kernels *kernels[4];
    size_t n = he_all_kernels(kernels);
    for (size_t k = 0; k < n; k++) {
        world w;
        contents c = {0};
        open_golden(&w, &c, &g, kernels[k]);
        test_written_again(&w, &c, &g);
        test_values(&w, &c);
        if (k == 0)
            test_damage(w.ctx, &g);
        close_golden(&w, &c);
    }
    for (int i = 0; i < FILES; i++)
        free(g.data[i]);
    return he_report("he_golden_test");
}
