"""One network a file, and what diffusion needs beside its U-Net."""
