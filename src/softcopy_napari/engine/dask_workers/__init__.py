"""Copy workers on other machines, through Dask: imported, with `distributed`, only where somebody asks for them."""
