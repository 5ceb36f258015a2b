"""What can keep a notebook from becoming a cluster's driver; each is a sentence that says what to do."""


class AttachError(RuntimeError):
    """This notebook cannot be attached."""


class NoRay(AttachError):
    """There is no Ray in the kernel's environment."""


class VersionsDiffer(AttachError):
    """Ray or Python differ from the cluster's."""


class TokenRefused(AttachError):
    """The head does not take the token."""


class HeadNotThere(AttachError):
    """The head does not answer, or has not said where it is."""


class NodeFailed(AttachError):
    """The notebook's own Ray node did not start."""


class AlreadyConnected(AttachError):
    """The kernel is connected to a Ray that is not RaySTER's to end."""
