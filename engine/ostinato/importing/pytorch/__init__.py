"""What PyTorch saved, and what its modules are here; PyTorch itself is not needed.

`file` reads what torch.save wrote, `parameters` are a module's arrays, `modules` are the kinds of modules.
"""
