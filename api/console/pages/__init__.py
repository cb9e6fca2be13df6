"""The pages, a module for each topic. `api.console` lists them."""
