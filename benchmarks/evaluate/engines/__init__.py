"""One engine a module, each with ``engine()`` and ``NAME``, the distribution as it is published."""
