"""Training, evaluation and use of the models: what the command ``asgcn-dgl`` runs.

The modules are imported one by one (``asgcn_dgl.training.run``, ``...evaluate``, ``...predict``):
:mod:`asgcn_dgl.training.config` alone is enough to describe a run, and imports no torch.
"""
