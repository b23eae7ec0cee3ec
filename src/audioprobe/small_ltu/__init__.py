"""The small LTU: recipe, curriculum and evaluation of the model that ships with the library."""
