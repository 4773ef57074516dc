"""Published models, measured: real files beside ONNX Runtime, on speech.

catalogue   what the files are, and how the frames come about that they read
chunks      parity over a minute of speech, and what a chunk costs
paced       many streams of one model in one process, in real time
denoising   noisy speech, denoised through streams
sounds      the speech and the noises that all of it runs on
"""
