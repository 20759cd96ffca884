"""The names of the routers that can be trained."""

#: Routers that learn on the vectors of prompts, in the order of the docs → the class of their head,
#: in the module of the router's name.
HEADS = {
    "knn": "Nearest",
    "linear": "Linear",
    "mlp": "NeuralNetwork",
    "svm": "SupportVectors",
    "mf": "Factorised",
    "sw": "SimilarityWeighted",
    "clusters": "Clusters",
    "categories": "Categories",
    "ensemble": "Ensemble",
}
VECTOR_ROUTERS = tuple(HEADS)
#: All that `train` knows. The bundled kind, `latent`, is trained by `llmroute.training`.
NAMES = (*VECTOR_ROUTERS, "bert", "causal")
