"""Data products: their life, what is said of them, and how other catalogues read it. Pure."""

from __future__ import annotations

from policies.product.description import Description as Description
from policies.product.description import ProductId as ProductId
from policies.product.description import description_from_toml as description_from_toml
from policies.product.description import product_invalid as product_invalid
from policies.product.life import PRODUCT_LIFE as PRODUCT_LIFE
from policies.product.life import PRODUCT_STATE_TITLES as PRODUCT_STATE_TITLES
from policies.product.life import PRODUCT_STATES as PRODUCT_STATES
from policies.product.life import SERVED as SERVED
from policies.product.life import SHOWN as SHOWN
from policies.product.life import ProductState as ProductState
from policies.product.life import before as before
from policies.product.life import diagram as diagram
