/* Where pixels sit in slots. See he_conv.h. */
#include <assert.h>
#include <string.h>

#include "jobs/he/he_conv.h"

sky_he_place sky_he_layout_at(const sky_he_layout *l, int32_t slot)
{
    const sky_he_place none = {.channel = -1};
    const int32_t block_size = l->pitch_h * l->pitch_w;
    const int32_t at = slot % l->period;
    const int32_t row = at % block_size / l->pitch_w, col = at % l->pitch_w;
    const int32_t sub_row = row % l->gap_h, sub_col = col % l->gap_w;
    const int32_t y = row / l->gap_h, x = col / l->gap_w;
    int32_t channel = at / block_size;
    if (l->interleaved)
        channel = (channel * l->gap_h + sub_row) * l->gap_w + sub_col;
    else if (sub_row != 0 || sub_col != 0)
        return none;
    if (y >= l->h || x >= l->w || channel >= l->channels)
        return none;
    return (sky_he_place){channel, (int16_t)y, (int16_t)x};
}

int32_t sky_he_layout_slot(const sky_he_layout *l, sky_he_place p)
{
    int32_t block = p.channel, sub_row = 0, sub_col = 0;
    if (l->interleaved) {
        block = p.channel / (l->gap_h * l->gap_w);
        sub_row = p.channel / l->gap_w % l->gap_h;
        sub_col = p.channel % l->gap_w;
    }
    return (block * l->pitch_h + p.y * l->gap_h + sub_row) * l->pitch_w + p.x * l->gap_w + sub_col;
}

static int32_t channels_of(const sky_he_layout *l, int32_t ciphertext)
{
    const int32_t left = l->c - ciphertext * l->channels;
    return left < l->channels ? left : l->channels;
}

void sky_he_layout_pack(const sky_he_layout *l, const double *image, int32_t q, double *slots)
{
    assert(q >= 0 && q < l->ciphertexts);
    memset(slots, 0, (size_t)l->slots * sizeof *slots);
    const int32_t n = channels_of(l, q);
    for (int32_t r = 0; r < l->slots; r++) {
        const sky_he_place p = sky_he_layout_at(l, r);
        if (p.channel >= 0 && p.channel < n)
            slots[r] = image[((int64_t)(q * l->channels + p.channel) * l->h + p.y) * l->w + p.x];
    }
}

void sky_he_layout_unpack(const sky_he_layout *l, const double *slots, int32_t p, double *image)
{
    assert(p >= 0 && p < l->ciphertexts);
    const int32_t n = channels_of(l, p);
    for (int32_t c = 0; c < n; c++) {
        for (int32_t y = 0; y < l->h; y++) {
            for (int32_t x = 0; x < l->w; x++) {
                const sky_he_place at = {c, (int16_t)y, (int16_t)x};
                image[((int64_t)(p * l->channels + c) * l->h + y) * l->w + x] =
                    slots[sky_he_layout_slot(l, at)];
            }
        }
    }
}
