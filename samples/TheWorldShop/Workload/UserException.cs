namespace CdcOrleans.Samples.TheWorldShop;

/// <summary>Trouble that the user can do something about: shown as one line, without a stack trace.</summary>
internal sealed class TellUserException(string message) : Exception(message);
