// random_uniform, random_normal, random_bernoulli, random_randint, arange: arrays made from a few numbers.
//
// Random launches use args->seed as the key and args->counter as the first of ceil(n / 4) counters, which the caller reserves; see
// include/cymx/random.h. float64 and integers draw 64 bits an element, the other types 32.  Outputs are of any numeric dtype; normal and uniform
// refuse integers. Called by: random operators, Dropout, initializers, arange.
#include "cymx/params.h"
#include "cymx/random.h"
#include "table.h"
#include "types.h"

namespace {

constexpr i64 n_counters = 128, chunk = 4 * n_counters; // elements made at a time

// Fills words[lane][k] for counters first + k of one stream.
void draw(u64 key, u64 first, u32 stream, u32 (*words)[n_counters]) {
    for (i64 k = 0; k < n_counters; ++k) {
        Words w = philox(key, first + (u64)k, stream);
        words[0][k] = w.w[0];
        words[1][k] = w.w[1];
        words[2][k] = w.w[2];
        words[3][k] = w.w[3];
    }
}

// Makes the output in chunks; make(high, low, values) turns the words of a chunk into values[lane][k] of type V, which are then put in order.
template <class V, bool two_words, class Make> int generate(const cymx_args *args, Make make) {
    const cymx_tensor &y = args->out[0];
    const i64 n = element_count(y), n_chunks = (n + chunk - 1) / chunk;
    const u64 key = args->seed, counter = args->counter;
    return for_dtype(args, y.dtype, [&](auto type) {
        using T = decltype(type);
        T *to = (T *)y.data;
        for_tasks(n_chunks, n_chunks > 16, [&](i64 c) {
            u32 high[4][n_counters], low[4][n_counters];
            V values[4][n_counters];
            draw(key, counter + (u64)(c * n_counters), 0, high);
            if (two_words) {
                draw(key, counter + (u64)(c * n_counters), 1, low);
            }
            make(high, low, values);
            const i64 start = c * chunk, left = n - start < chunk ? n - start : chunk;
            if (left == chunk) {
                for (i64 k = 0; k < n_counters; ++k) {
                    for (i64 lane = 0; lane < 4; ++lane) {
                        to[start + 4 * k + lane] = convert<T>(values[lane][k]);
                    }
                }
            } else {
                for (i64 i = 0; i < left; ++i) {
                    to[start + i] = convert<T>(values[i % 4][i / 4]);
                }
            }
        });
        return int(CYMX_OK);
    });
}

bool is_floating(i32 dtype) { return dtype == CYMX_FLOAT32 || dtype == CYMX_FLOAT64 || dtype == CYMX_FLOAT16 || dtype == CYMX_BFLOAT16; }

const random_params &params_of(const cymx_args *args) { return *(const random_params *)args->params; }

template <class V> V unit(u32 high, u32 low);
template <> float unit<float>(u32 high, u32) { return unit_float(high); }
template <> double unit<double>(u32 high, u32 low) { return unit_double(high, low); }

template <class V> int uniform_as(const cymx_args *args) {
    const V a = (V)params_of(args).a, b = (V)params_of(args).b;
    return generate<V, sizeof(V) == 8>(args, [=](auto high, auto low, auto values) {
        for (i64 lane = 0; lane < 4; ++lane) {
            for (i64 k = 0; k < n_counters; ++k) {
                values[lane][k] = uniform(unit<V>(high[lane][k], low[lane][k]), a, b);
            }
        }
    });
}

template <class V> int normal_as(const cymx_args *args) {
    const V mean = (V)params_of(args).a, deviation = (V)params_of(args).b;
    return generate<V, sizeof(V) == 8>(args, [=](auto high, auto low, auto values) {
        for (i64 lane = 0; lane < 4; lane += 2) {
            for (i64 k = 0; k < n_counters; ++k) {
                Pair<V> p = normal_pair(unit<V>(high[lane][k], low[lane][k]), unit<V>(high[lane + 1][k], low[lane + 1][k]));
                values[lane][k] = mean + deviation * p.x;
                values[lane + 1][k] = mean + deviation * p.y;
            }
        }
    });
}

int random_uniform(const cymx_args *args) {
    if (int code = expect(args, 0, 1, sizeof(random_params))) {
        return code;
    }
    if (!is_floating(args->out[0].dtype)) {
        return fail(args, CYMX_UNSUPPORTED, "uniform numbers are floating, not of dtype %lld; randint yields integers", args->out[0].dtype);
    }
    return args->out[0].dtype == CYMX_FLOAT64 ? uniform_as<double>(args) : uniform_as<float>(args);
}

int random_normal(const cymx_args *args) {
    if (int code = expect(args, 0, 1, sizeof(random_params))) {
        return code;
    }
    if (!is_floating(args->out[0].dtype)) {
        return fail(args, CYMX_UNSUPPORTED, "normal numbers are floating, not of dtype %lld", args->out[0].dtype);
    }
    return args->out[0].dtype == CYMX_FLOAT64 ? normal_as<double>(args) : normal_as<float>(args);
}

int random_bernoulli(const cymx_args *args) {
    if (int code = expect(args, 0, 1, sizeof(random_params))) {
        return code;
    }
    const double p = params_of(args).a;
    if (!(p >= 0 && p <= 1)) {
        return fail(args, CYMX_BAD_ARGUMENT, "the probability of 1 is not between 0 and 1");
    }
    const u64 below = (u64)(p * 4294967296.0);
    return generate<float, false>(args, [=](auto high, auto, auto values) {
        for (i64 lane = 0; lane < 4; ++lane) {
            for (i64 k = 0; k < n_counters; ++k) {
                values[lane][k] = high[lane][k] < below ? 1.0f : 0.0f;
            }
        }
    });
}

int random_randint(const cymx_args *args) {
    if (int code = expect(args, 0, 1, sizeof(random_params))) {
        return code;
    }
    const double a = params_of(args).a, b = params_of(args).b;
    if (!(a < b && a >= -9007199254740992.0 && b <= 9007199254740992.0)) {
        return fail(args, CYMX_BAD_ARGUMENT, "the range of whole numbers is empty, or beyond 2**53");
    }
    const i64 low_end = (i64)a;
    const u64 range = (u64)((i64)b - low_end);
    return generate<i64, true>(args, [=](auto high, auto low, auto values) {
        for (i64 lane = 0; lane < 4; ++lane) {
            for (i64 k = 0; k < n_counters; ++k) {
                values[lane][k] = low_end + (i64)whole_below(range, high[lane][k], low[lane][k]);
            }
        }
    });
}

int arange(const cymx_args *args) {
    if (int code = expect(args, 0, 1, sizeof(arange_params))) {
        return code;
    }
    const arange_params &p = *(const arange_params *)args->params;
    const cymx_tensor &y = args->out[0];
    const i64 n = element_count(y);
    if (p.repeat < 1) {
        return fail(args, CYMX_BAD_ARGUMENT, "each number is repeated %lld times, expected at least once", p.repeat);
    }
    return for_dtype(args, y.dtype, [&](auto type) {
        using T = decltype(type);
        double steps[chunk]; // a product of its own: fused with the sum it would round otherwise on some processors
        for (i64 start = 0; start < n; start += chunk) {
            const i64 count = n - start < chunk ? n - start : chunk;
            T *to = (T *)y.data + start;
            for (i64 i = 0; i < count; ++i) {
                steps[i] = p.step * (double)(p.repeat == 1 ? start + i : (start + i) / p.repeat);
            }
            for (i64 i = 0; i < count; ++i) {
                to[i] = convert<T>(p.start + steps[i]);
            }
        }
        return int(CYMX_OK);
    });
}

} // namespace

CYMX_ROWS(random, {"random_uniform", random_uniform}, {"random_normal", random_normal}, {"random_bernoulli", random_bernoulli},
          {"random_randint", random_randint}, {"arange", arange})
