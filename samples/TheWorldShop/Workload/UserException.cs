namespace CdcOrleans.Samples.TheWorldShop;

/// <summary>A problem that the user can solve. It is shown as one line, without a stack trace.</summary>
internal sealed class UserException(string message) : Exception(message);
