"""The names of the routers that can be trained."""

#: Routers that learn on the vectors of prompts, in the order of the docs.
VECTOR_ROUTERS = (
    "knn",
    "linear",
    "mlp",
    "svm",
    "mf",
    "sw",
    "clusters",
    "categories",
    "ensemble",
)
#: All that `train` knows. The bundled kind, `latent`, is trained by `llmroute.training`.
NAMES = (*VECTOR_ROUTERS, "bert", "causal")
