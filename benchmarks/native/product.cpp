// C = A B of n x n floats by oneDNN's primitive, made once and executed with nothing between.
#include "dnnl.hpp"

namespace {
struct Product {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
    dnnl::matmul primitive;
    dnnl::memory a, b, c;

    Product(float *a_mk, float *b_kn, float *c_mn, dnnl::memory::dim n) {
        const dnnl::memory::desc type({n, n}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
        primitive = dnnl::matmul(dnnl::matmul::primitive_desc(engine, type, type, type));
        a = dnnl::memory(type, engine, a_mk);
        b = dnnl::memory(type, engine, b_kn);
        c = dnnl::memory(type, engine, c_mn);
    }
};
} // namespace

extern "C" void *product_new(float *a, float *b, float *c, long n) { return new Product(a, b, c, n); }

extern "C" void product_run(void *handle) {
    auto &p = *static_cast<Product *>(handle);
    p.primitive.execute(p.stream, {{DNNL_ARG_SRC, p.a}, {DNNL_ARG_WEIGHTS, p.b}, {DNNL_ARG_DST, p.c}});
    p.stream.wait();
}
